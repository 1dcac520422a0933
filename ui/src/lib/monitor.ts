// How a monitor stands, as its page and the list show it.
import type { Monitor } from "./types";

// standing is the word of the mark: a first failure that does not count yet is no "could not test".
export const standing = (m: Monitor): string => (m.muted ? "muted" : !m.last ? "pending" : m.suspect ? "suspect" : m.state);
