// Package web answers HTTP: the API under /api/v1 and the pages.
//
// Promise: everything a page does goes through the API; every answer is JSON of a written contract or a problem
// (RFC 9457); nothing is fetched from another host, and the pages need neither inline scripts nor inline styles.
// It must not judge mail, read logs, or speak SQL: it takes doors to the rooms that do.
package web
