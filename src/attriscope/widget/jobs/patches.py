"""What excites the channels of the picked layer, among all examples: looked for when all else is on show."""

from __future__ import annotations

from attriscope.core.errors import Cancelled
from attriscope.widget.jobs.pipeline import ExplanationJob
from attriscope.widget.messages.layers import top_channels
from attriscope.widget.model.patches import patches_message
from attriscope.widget.stages.pictures import PictureStage
from attriscope.widget.state.selection import Selection

# Of so many channels there are patches, and of the picked one.
_MOST_CHANNELS = 12


def show_patches(job: ExplanationJob, selection: Selection) -> None:
    """Show which parts of the examples excite the channels that contribute most.

    Nobody asked for it: a model that has something against so many examples is explained without.

    Args:
        job: tells the page.
        selection: which layer is picked, and which example is on show.
    """
    channels, shown = job.shown.channels, job.shown.patches
    picture = isinstance(job.explained.example(selection.example).stage, PictureStage)
    if selection.layer is None or not channels or not picture:
        job.publish(patches={})
        return
    wanted = [one.channel for one in top_channels(channels, _MOST_CHANNELS)]
    if (picked := selection.channel) is not None and picked not in wanted:
        wanted.append(picked)
    request = selection.request("patches")
    if shown.get("request") == request and shown["channels"] == wanted:
        return
    try:
        steps = (job.explained.excitation(one) for one in [selection])
        (found,) = job.reported("Looking for what excites the channels", steps)
    except Cancelled:
        raise
    except Exception:
        found = None
    pixels = job.explained.batch.pixels
    job.publish(patches={} if found is None else patches_message(found, wanted, pixels, request))
