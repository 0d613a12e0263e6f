"""The baselines on offer as small pictures, for the menu that they are chosen from: made when all else is done."""

from __future__ import annotations

from attriscope.widget.jobs.pipeline import ExplanationJob
from attriscope.widget.state.selection import Selection


def show_baselines(job: ExplanationJob, selection: Selection) -> None:
    """Show what the baselines of the example look like, as far as the page does not know it.

    Args:
        job: tells the page.
        selection: which example is on show, and the user's own baseline.
    """
    own = None if selection.custom is None else selection.custom.tensor
    names = [one["name"] for one in job.shown.baselines if one["name"] != "custom" or own is not None]
    known = job.shown.baseline_pictures
    # Another baseline of the user's own has the same name.
    wanted = [name for name in names if name not in known or name == "custom"]
    if not wanted:
        return
    example = job.explained.example(selection.example)
    own = None if own is None else example.own_baseline(own)
    made = {name: example.stage.baseline_thumbnail(name, own) for name in wanted}
    if any(known.get(name) != picture for name, picture in made.items()):
        job.publish(baseline_pictures={**known, **made})
