"""The widgets that make a Recipe: strength for everybody, and behind one fold every other setting."""

from collections.abc import Iterable, Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

import shield
from shield.page.complaint import as_toast

DEFAULT = shield.Recipe()
MOST_STEPS = 200
Values = Mapping[Component, Any]


class Settings:
    """Strength is laid out where this is made, the rest where ``fold`` is called."""

    def __init__(self) -> None:
        choices = [(f"{name.capitalize()}: {preset.meaning}", name) for name, preset in shield.PRESETS.items()]
        self.strength = gr.Radio(choices, value=DEFAULT.preset, label="How strong may it be?", elem_id="strength")
        self.widgets: dict[str, Component] = {}

    def fold(self) -> None:
        """Lay out the other settings, and the Recipe in words to copy."""
        with gr.Accordion("Advanced", open=False, elem_id="advanced"):
            self.widgets = _widgets()
            gr.Markdown("The same as a Recipe, on the command line and in Python.", elem_classes="hint")
            spelled = [
                gr.Code(label="Recipe (JSON)", language="json", elem_id="recipe", interactive=False),
                gr.Code(label="Command line", language="shell", elem_id="command", interactive=False),
                gr.Code(label="Python", language="python", elem_id="python", interactive=False),
            ]
        for widget, text in zip(spelled, _spelled(DEFAULT), strict=True):
            widget.value = text
        gr.on(
            [widget.change for widget in self.components],  # type: ignore[attr-defined]
            lambda values: _spelled(self.recipe(values)),
            inputs=set(self.components),
            outputs=spelled,
            show_progress="hidden",
            queue=False,
            api_visibility="private",
        )

    @property
    def components(self) -> list[Component]:
        """Every widget."""
        return [self.strength, *self.widgets.values()]

    def recipe(self, values: Values) -> shield.Recipe:
        """The Recipe that the widgets stand for. A setting that cannot be used becomes a toast."""
        chosen = {name: values[widget] for name, widget in self.widgets.items()}
        chosen["format"], chosen["seed"] = chosen["format"] or None, int(chosen["seed"] or 0)
        chosen["carriers"] = shield.CARRIERS if chosen["carriers"] else shield.PIXELS_ALONE
        with as_toast():
            chosen["person"] = (chosen["person"] or "").strip() or None
            recipe = shield.Recipe.of(chosen)
            return recipe.with_preset(values[self.strength])


def _widgets() -> dict[str, Component]:
    """A widget per setting of the Recipe."""
    widgets: dict[str, Component] = {
        "surrogates": gr.CheckboxGroup(
            list(shield.SURROGATES),
            value=list(DEFAULT.surrogates),
            label="Surrogates",
            info="The networks to protect against. Yours are here once they are imported.",
        ),
        "transforms": gr.CheckboxGroup(
            list(dict.fromkeys([*shield.CHANNELS, *DEFAULT.transforms])),  # chains have no entry in the registry
            value=list(DEFAULT.transforms),
            label="Robustness",
            info="What the protection should survive: the search goes through these in turn.",
        ),
    }
    with gr.Row():
        widgets["attack"] = _choice("attack", shield.ATTACKS, "Attack", "How to search.")
        widgets["objective"] = _choice("objective", shield.OBJECTIVES, "Objective", "What the search climbs.")
    with gr.Row():
        widgets["bound"] = _choice("bound", shield.BOUNDS, "Bound", "The shape of the change.")
        widgets["classes"] = _choice("classes", shield.CLASSES, "Edits", "All at once, or one by one.")
    with gr.Row():
        widgets["start"] = _choice("start", shield.STARTS, "Start", "What the search begins with.")
        widgets["carriers"] = gr.Checkbox(
            DEFAULT.carriers == shield.CARRIERS,
            label="Bend the face a little as well",
            info="By half a percent at most: not to be seen on skin, and most of what holds against face recognition. "
            "It may change the expression a little.",
            elem_id="warp",
            min_width=140,
        )
    widgets["steps"] = gr.Slider(
        1, MOST_STEPS, DEFAULT.steps, step=1, label="Steps", info="Of the search, at most.", elem_id="steps"
    )
    with gr.Row():
        widgets["seed"] = gr.Number(
            DEFAULT.seed,
            label="Seed",
            info="Same seed: same bytes.",
            precision=0,
            minimum=0,
            elem_id="seed",
            min_width=140,
        )
        widgets["format"] = gr.Dropdown(
            [("the photo's own", ""), *((name, name) for name in shield.WRITABLE)],
            value="",
            label="File format",
            info="PNG keeps most.",
            elem_id="format",
            min_width=140,
        )
    widgets["person"] = gr.Textbox(
        "",
        label="One false identity for one person",
        info="Any name, the same for all photos of this person: their average then does not give the person away. "
        "It is not kept.",
        elem_id="person",
        max_length=100,
    )
    widgets["keep_exif"] = gr.Checkbox(DEFAULT.keep_exif, label="Keep the EXIF of camera and picture")
    widgets["whole"] = gr.Checkbox(DEFAULT.whole, label="Treat the picture as one region: look for no faces")
    return widgets


def _choice(name: str, known: Iterable[str], label: str, info: str) -> gr.Dropdown:
    """A list to choose one of; its default is the Recipe's."""
    return gr.Dropdown(list(known), value=getattr(DEFAULT, name), label=label, info=info, min_width=140)


def _spelled(recipe: shield.Recipe) -> tuple[str, str, str]:
    return recipe.to_json(), shield.command_line(recipe), shield.python_lines(recipe)
