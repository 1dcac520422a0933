// One question to the server, as a page shows it: not yet answered, answered, or refused.
import { Problem } from "./api";

export class Load<T> {
  data: T | undefined = $state.raw();
  problem: Problem | undefined = $state.raw();
  busy = $state(false);
  #asked = 0;

  constructor(private readonly ask: (signal: AbortSignal) => Promise<T>) {}
  #stop: AbortController | undefined;

  // run asks (again); an older answer that comes later is dropped. What was shown stays until the new answer is here.
  async run(): Promise<void> {
    this.#stop?.abort();
    const stop = new AbortController();
    this.#stop = stop;
    const n = ++this.#asked;
    this.busy = true;
    try {
      const data = await this.ask(stop.signal);
      if (n !== this.#asked) return;
      this.data = data;
      this.problem = undefined;
    } catch (e) {
      if (n !== this.#asked) return;
      this.problem = e instanceof Problem ? e : new Problem(-1, String(e), "", "");
    }
    this.busy = false;
  }

  end(): void {
    this.#asked++;
    this.#stop?.abort();
  }
}
