/** Where the explanation is seen: at the pixels, or at one of the model's layers. */
import { Menu } from "../lib/menu";
import { currentPicture } from "../selection/displayed";
import { layerThumbnail } from "../selection/thumbnails";
import { pickLayer } from "../selection/layer";
import { PIXELS, placeItems, placeLabel } from "../selection/places";
import type { State } from "../state/state";
import type { View } from "../state/view";
import { Refusal } from "./refusal";

export class PlaceMenu {
  readonly menu: Menu;
  readonly refusal: Refusal;

  constructor(state: State) {
    this.menu = new Menu(
      "Seen at",
      state.signal,
      (value) => {
        this.refusal.clear();
        pickLayer(state, value === PIXELS ? null : value);
      },
      "Search the model",
    );
    this.menu.pictureOf = (value) =>
      value === PIXELS ? currentPicture(state.view)?.image : layerThumbnail(state.view, value);
    this.refusal = new Refusal(state.view, "layer", [this.menu.button]);
    state.follow(this);
  }

  show(view: View): void {
    this.refusal.show(view);
    this.menu.show(placeItems(view), view.get("layer") ?? PIXELS, placeLabel(view));
  }
}
