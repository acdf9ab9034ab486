"""The tab that says what the page does, what it does not do, and with which networks that was tried."""

import html

import gradio as gr

import shield

ABOUT = """
### What it does

shield changes a photo by an amount that people hardly see, against face swaps and face search, which shall no longer
know the person on it, and against tools that edit hair, age, sex or expression, which shall break. It then opens the
saved file again, runs such networks on the original and on the protected photo, one among them that the search never
asked, sends the file through what the web does to it, and says what holds and what does not.

### What it does not do

- It was tried on the networks below, which are small. A network that the search did not see may well not break; the
  result says how many of those did. Nobody can promise that tomorrow's network breaks.
- After strong compression less holds, most of all for small faces. Save as PNG where you can.
- It hides who is on a photo from networks alone. People still know the person, and so does a network that finds one
  other photo without protection: that is enough for a face swap.
- Somebody who cleans the photo first may undo the protection. *Verify* can try that.

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
    rows = "".join(map(_row, [entries[name] for name in shield.SURROGATES if name in entries]))
    gr.HTML(f'<div class="scroll networks"><table><tbody>{rows}</tbody></table></div>')
    gr.Markdown(f"{END} shield {shield.__version__}.", elem_classes="prose")


def _row(entry: shield.WeightsEntry) -> str:
    """A network of the table; an imported one's words are the user's."""
    name, what, licence = map(html.escape, (entry.name, entry.what, entry.licence))
    return f'<tr><th scope="row">{name}</th><td>{what}</td><td>{licence}</td></tr>'
