// A run, from the press of the button to its report: its steps come as they happen.
import { Problem, get, post, stream } from "./api";
import type { Run } from "./types";

export interface Progress {
  name: string;
  text?: string;
  at: number;
}

export class Live {
  run: Run | undefined = $state.raw();
  steps: Progress[] = $state.raw([]);
  problem: Problem | undefined = $state.raw();
  busy = $state(false);
  began = $state(0);
  #end: () => void = () => {};

  async start(kind: string, args: Record<string, unknown>): Promise<void> {
    this.stop();
    this.run = undefined;
    this.problem = undefined;
    this.steps = [];
    this.busy = true;
    this.began = Date.now();
    try {
      const { id } = await post<{ id: string }>("runs", { kind, args });
      this.follow(id);
    } catch (e) {
      this.fail(e);
    }
  }

  // follow shows a run that is already on its way.
  follow(id: string): void {
    this.stop();
    this.busy = true;
    this.began ||= Date.now();
    this.#end = stream(
      `runs/${encodeURIComponent(id)}/events`,
      {},
      {
        step: (s: { name: string; text?: string }) => (this.steps = [...this.steps, { ...s, at: Date.now() - this.began }]),
        done: () => void this.fetch(id),
        problem: (p: { status?: number; title?: string; detail?: string }) => {
          this.problem = new Problem(p.status ?? 500, p.title ?? "", p.detail ?? "", "");
          void this.fetch(id);
        },
      },
      () => void this.fetch(id), // the stream broke off: the run itself may have ended well
    );
  }

  // fetch takes the result; where the run goes on although its stream broke off, it asks again.
  private async fetch(id: string): Promise<void> {
    try {
      const run = await get<Run>(`runs/${encodeURIComponent(id)}`);
      this.run = run;
      if (run.state === "running") {
        const again = setTimeout(() => void this.fetch(id), 2000);
        this.#end = () => clearTimeout(again);
        return;
      }
      if (run.problem && !this.problem) this.problem = new Problem(500, run.problem, "", "");
    } catch (e) {
      this.fail(e);
    }
    this.busy = false;
  }

  private fail(e: unknown): void {
    this.problem = e instanceof Problem ? e : new Problem(-1, String(e), "", "");
    this.busy = false;
  }

  stop(): void {
    this.#end();
    this.busy = false;
  }
}
