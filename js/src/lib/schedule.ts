/** Runs each asked-for task once in the next animation frame, however often it was asked for. */
export type Schedule = (task: () => void) => void;

/** Runs a task and only reports when it fails: one that is broken must not stop the others. */
export function attempt(task: () => void): void {
  try {
    task();
  } catch (error) {
    console.error("attriscope:", error);
  }
}

export function createSchedule(signal: AbortSignal): Schedule {
  const queue = new Set<() => void>();
  let frame = 0;

  const flush = (): void => {
    frame = 0;
    const tasks = [...queue];
    queue.clear();
    for (const task of tasks) attempt(task);
  };

  signal.addEventListener("abort", () => {
    cancelAnimationFrame(frame);
    queue.clear();
  });

  return (task) => {
    if (signal.aborted) return;
    queue.add(task);
    frame ||= requestAnimationFrame(flush);
  };
}

/** Runs the task at once, but not again within so many milliseconds: then after them, so that the last call counts. */
export function paced(task: () => void, ms: number, signal: AbortSignal): () => void {
  let next = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const run = (): void => {
    timer = undefined;
    next = performance.now() + ms;
    task();
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  return () => {
    if (signal.aborted) return;
    const early = next - performance.now();
    if (early <= 0) run();
    else timer ??= setTimeout(run, early);
  };
}
