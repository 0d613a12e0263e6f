/** Handing a file to the browser, which asks where to keep it, or keeps it where it keeps all. */
import { bytes, type Binary } from "./binary";
import { h } from "./dom";

/** How long the browser may take to begin: after that the file's address is given back. */
const GRACE_MS = 60_000;

const TYPES: Readonly<Record<string, string>> = { png: "image/png", html: "text/html" };

export function download(name: string, data: Binary, signal: AbortSignal): void {
  const type = TYPES[name.split(".").at(-1) ?? ""] ?? "application/octet-stream";
  const url = URL.createObjectURL(new Blob([bytes(data).slice()], { type }));
  const link = h("a", { href: url, download: name, hidden: true });
  document.body.append(link); // some browsers follow no link that is not on the page
  link.click();
  link.remove();
  const release = (): void => URL.revokeObjectURL(url);
  const timer = setTimeout(release, GRACE_MS);
  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    release();
  });
}
