"""The tab that says what the page does, what it does not do, and with which networks that was tried."""

import html

import gradio as gr

import shield

ABOUT = """
### What it does

shield changes a photo by an amount that people hardly see, so that face swaps and face search, which know a face by a
recogniser, take the person on it for somebody else. It then opens the saved file again, makes face swaps and edits of
the original and of the protected photo, asks recognisers, two among them that shield never trained against, sends the
file through what the web does to it, and says what still works and what does not.

### What it does not do

- **Edits often still work.** Tools that change hair, age, sex or expression make a usable deepfake of many protected
  photos too, above all where the search did not see their network.
- **A stranger's recogniser may still know you.** Two that shield never trained against are asked on every photo; on
  many they are lost, on some they are not.
- **One photo without protection is enough** for a face swap, and nothing keeps anybody from putting another face on
  yours.
- After strong compression less holds, most of all for small faces. Save as PNG where you can.
- Somebody who cleans the photo first may undo the protection. *Verify* can try that.
- People still know you. Nobody can promise anything about tomorrow's networks.

### Privacy

Your photos stay on the machine that runs this page. Uploads lie in a private temporary folder; results are deleted when
you close the page or begin anew, everything when the page's program ends. There is no telemetry, no account and no
request to any other host. Every picture made by a manipulator is marked as a simulated manipulation.

### The networks
"""
END = "The method: Ruiz, Bargal and Sclaroff 2020, *Disrupting Deepfakes* (arXiv 2003.01279). Apache-2.0."


def about() -> None:
    """Lay the tab out."""
    gr.Markdown(ABOUT, elem_classes="prose")
    entries = shield.manifest() | shield.imported_models()
    known = [*shield.SURROGATES, *shield.JUDGES, "swap"]
    rows = "".join(map(_row, [entries[name] for name in known if name in entries]))
    gr.HTML(f'<div class="scroll networks"><table><tbody>{rows}</tbody></table></div>')
    gr.Markdown(f"{END} shield {shield.__version__}.", elem_classes="prose")


def _row(entry: shield.WeightsEntry) -> str:
    """A network of the table; an imported one's words are the user's."""
    name, what, licence = map(html.escape, (entry.name, entry.what, entry.licence))
    return f'<tr><th scope="row">{name}</th><td>{what}</td><td>{licence}</td></tr>'
