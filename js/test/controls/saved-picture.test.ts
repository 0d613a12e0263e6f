import { describe, expect, it } from "vitest";
import { draw, useViews, view } from "../support/view";

useViews();

const MARK = "AAAAK3RFWHRhdHRyaXNjb3BlADEyMzQ1Njc4OTA";

function image(of: string): HTMLElement {
  const output = document.createElement("div");
  const picture = document.createElement("img");
  picture.setAttribute("src", `data:image/png;base64,iVBORw0KGgo${of}IDAT`);
  output.append(picture);
  document.body.append(output);
  return output;
}
const rules = (): string =>
  [...document.head.querySelectorAll("style")].map((style) => style.textContent).join("\n");

describe("the picture that is saved with the notebook", () => {
  it("is hidden while the widget is drawn, with what is around it, and no other picture", () => {
    const own = image(MARK);
    const other = image(MARK.replaceAll("K", "L"));
    draw({ _saved_picture: MARK });
    const shown = (element: Element): string => getComputedStyle(element).display;
    expect(shown(own.firstElementChild!)).toBe("none");
    expect(shown(other.firstElementChild!)).not.toBe("none");
    expect(rules()).toContain(`div:has(> img[src*="${MARK}"])`);
    expect(rules()).toContain(`.jp-OutputArea-child:has(img[src*="${MARK}"])`);
    view.end();
    expect(rules()).not.toContain(MARK);
    expect(shown(own.firstElementChild!)).not.toBe("none");
  });

  it.each(["", "short", `"] {} * { display: none } [x="aaaaaaaaaaaaaaa`, undefined as never])(
    "is not looked for by %j",
    (mark) => {
      draw({ _saved_picture: mark });
      expect(rules()).not.toContain("display: none !important");
    },
  );
});
