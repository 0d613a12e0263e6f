"""What can be said of looks without looking: what axe finds, what is cut off, in which theme."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page

# Page-wide rules judge the notebook around the widget; ours are those about the widget itself.
RUN_AXE = """async () => {
    const found = await axe.run('.as-root', {
        runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    });
    return found.violations.flatMap(({ id, help, nodes }) => nodes.map(
        node => `${id} (${help}): ${node.target} ${node.html.slice(0, 120)} ${node.failureSummary.slice(0, 300)}`));
}"""


def violations(page: Page, axe: Path) -> list[str]:
    if not page.evaluate("() => 'axe' in window"):
        page.add_script_tag(path=axe)
    return page.evaluate(RUN_AXE)


def use_theme(page: Page, theme: str) -> None:
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    dark = "false" if theme.endswith("Dark") else "true"
    page.locator(f"body[data-jp-theme-light={dark}]").wait_for(state="attached")
    page.evaluate("() => new Promise(done => setTimeout(done, 400))")  # colours fade over


def cut_off(root: Locator) -> list[str]:
    return root.evaluate(
        """el => [...el.querySelectorAll('select, button, input, canvas, [role=option]')]
            .filter(e => e.getClientRects().length && !e.closest('.as-examples, .as-scroll'))
            .filter(e => e.getBoundingClientRect().right > el.getBoundingClientRect().right + 1)
            .map(e => e.outerHTML.slice(0, 80))"""
    )


def sticking_out(root: Locator) -> list[str]:
    """What is open over the page and does not stand in the widget as a whole: it would be cut off there."""
    return root.evaluate(
        """el => {
            const around = el.getBoundingClientRect();
            return [...el.querySelectorAll('.as-popup')].filter(e => e.getClientRects().length).filter(e => {
                const { left, right, top, bottom } = e.getBoundingClientRect();
                return left < around.left || right > around.right || top < around.top || bottom > around.bottom;
            }).map(e => `${e.className} ${JSON.stringify(e.getBoundingClientRect())}`);
        }"""
    )
