/** Runs each asked-for task once in the next animation frame, however often it was asked for. */
export type Schedule = (task: () => void) => void;

export function createSchedule(signal: AbortSignal): Schedule {
  const queue = new Set<() => void>();
  let frame = 0;

  const flush = (): void => {
    frame = 0;
    const tasks = [...queue];
    queue.clear();
    for (const task of tasks) {
      try {
        task();
      } catch (error) {
        console.error("attriscope:", error); // one broken part must not stop the others
      }
    }
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
