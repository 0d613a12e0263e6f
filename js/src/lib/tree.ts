/** An ARIA tree: which nodes are visible, what keys do. It knows nothing of what a node stands for or looks like. */
export interface TreeNode {
  /** What is written on the node: type-ahead looks here. */
  readonly label: string;
  /** What the search looks in. */
  readonly text: string;
  readonly parent: number; // -1 at the top
  readonly level: number; // 1 at the top
  readonly children: readonly number[];
  /** The nodes under the same parent, this one too, and which of them it is, from 1. */
  readonly siblings: readonly number[];
  readonly posinset: number;
}

/** Links nodes that come in pre-order with their levels. A level that jumps counts as one step down. */
export function linkNodes(
  items: readonly { readonly label: string; readonly text: string; readonly level: number }[],
): TreeNode[] {
  const nodes: (TreeNode & { children: number[] })[] = [];
  const roots: number[] = [];
  const open: { index: number; level: number }[] = [];
  items.forEach(({ label, text, level }, index) => {
    while (open.length && open.at(-1)!.level >= level) open.pop();
    const parent = open.at(-1)?.index ?? -1;
    const siblings = parent >= 0 ? nodes[parent]!.children : roots;
    const posinset = siblings.push(index);
    nodes.push({ label, text, parent, level: open.length + 1, children: [], siblings, posinset });
    open.push({ index, level });
  });
  return nodes;
}

/** What a key asks for. */
export interface TreeAction {
  readonly focus?: number;
  readonly toggle?: number;
  readonly pick?: number;
}

const TYPE_AHEAD_MS = 700;

export class Tree {
  focus = 0;
  readonly #expanded = new Set<number>();
  #query = "";
  #matching = new Set<number>();
  #kept = new Set<number>();
  #typed = "";
  #typedAt = -Infinity;
  /** What `visible` gives, until something opens, closes or is searched. */
  #seen: readonly number[] | undefined;

  constructor(readonly nodes: readonly TreeNode[]) {}

  /** The nodes on show, in order: under expanded ones, or those a search leaves. The same list until it changes. */
  visible(): readonly number[] {
    return (this.#seen ??= this.#query ? [...this.#kept].sort((a, b) => a - b) : this.#underOpen());
  }

  /** Looks only at what is on show, however much is not. */
  #underOpen(): number[] {
    const seen: number[] = [];
    const rest = [...(this.nodes[0]?.siblings ?? [])].reverse();
    for (let i = rest.pop(); i !== undefined; i = rest.pop()) {
      seen.push(i);
      if (!this.#expanded.has(i)) continue;
      const { children } = this.nodes[i]!;
      for (let at = children.length - 1; at >= 0; at--) rest.push(children[at]!);
    }
    return seen;
  }

  isExpanded(i: number): boolean {
    return this.#query
      ? this.nodes[i]!.children.some((child) => this.#kept.has(child))
      : this.#expanded.has(i);
  }

  /** True for what the search found itself, not for the ancestors kept with it; true for all without a search. */
  matches(i: number): boolean {
    return !this.#query || this.#matching.has(i);
  }

  /** True when the search found the very label of a node. */
  found(i: number): boolean {
    return this.#query !== "" && this.nodes[i]!.label.toLowerCase().includes(this.#query);
  }

  setExpanded(i: number, open: boolean): void {
    if (open && this.nodes[i]?.children.length) this.#expanded.add(i);
    else this.#expanded.delete(i);
    this.#seen = undefined;
  }

  /** Opens all ancestors of a node. */
  reveal(i: number): void {
    for (let parent = this.nodes[i]?.parent ?? -1; parent >= 0; parent = this.nodes[parent]!.parent) {
      if (!this.#expanded.has(parent)) this.setExpanded(parent, true);
    }
  }

  /** Keeps the nodes that hold the query, and their ancestors. */
  search(query: string): void {
    this.#query = query.trim().toLowerCase();
    this.#matching = new Set();
    this.#kept = new Set();
    this.#seen = undefined;
    if (!this.#query) return;
    this.nodes.forEach(({ text, parent }, i) => {
      if (!text.toLowerCase().includes(this.#query)) return;
      this.#matching.add(i);
      this.#kept.add(i);
      for (let up = parent; up >= 0 && !this.#kept.has(up); up = this.nodes[up]!.parent) this.#kept.add(up);
    });
  }

  /** What a key does with the focus where it is; undefined for keys that mean nothing here. */
  key(key: string, time: number): TreeAction | undefined {
    const visible = this.visible();
    const index = visible.indexOf(this.focus);
    const node = this.nodes[this.focus];
    const last = visible.length - 1;
    if (!node || last < 0) return undefined;
    const goto = (to: number): TreeAction => ({ focus: visible[Math.min(last, Math.max(0, to))]! });

    switch (key) {
      case "ArrowDown":
        return goto(index + 1);
      case "ArrowUp":
        return goto(index - 1);
      case "PageDown":
        return goto(index + 10);
      case "PageUp":
        return goto(index - 10);
      case "Home":
        return goto(0);
      case "End":
        return goto(last);
      case "ArrowRight":
        if (!node.children.length) return {};
        return this.isExpanded(this.focus) ? goto(index + 1) : { toggle: this.focus };
      case "ArrowLeft":
        if (node.children.length && this.isExpanded(this.focus) && !this.#query)
          return { toggle: this.focus };
        return node.parent >= 0 ? { focus: node.parent } : {};
      case "Enter":
      case " ":
        if (key === " " && this.#isTyping(time)) return this.#typeAhead(key, time, visible);
        return { pick: this.focus };
      case "*":
        for (const sibling of node.siblings) this.setExpanded(sibling, true);
        return { focus: this.focus };
      default:
        return key.length === 1 ? this.#typeAhead(key, time, visible) : undefined;
    }
  }

  #isTyping(time: number): boolean {
    return this.#typed !== "" && time - this.#typedAt < TYPE_AHEAD_MS;
  }

  /** Goes to the next node whose label starts with what was typed; the same letter again goes on to the next. */
  #typeAhead(key: string, time: number, visible: readonly number[]): TreeAction {
    this.#typed = (this.#isTyping(time) ? this.#typed : "") + key.toLowerCase();
    this.#typedAt = time;
    const same = /^(.)\1*$/su.test(this.#typed);
    const wanted = same ? this.#typed.charAt(0) : this.#typed;
    const index = Math.max(0, visible.indexOf(this.focus));
    const from = same ? index + 1 : index;
    for (let step = 0; step < visible.length; step++) {
      const i = visible[(from + step) % visible.length]!;
      if (this.nodes[i]!.label.toLowerCase().startsWith(wanted)) return { focus: i };
    }
    return {};
  }
}
