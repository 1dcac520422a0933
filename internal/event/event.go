// Package event holds the one noun of the log rooms: something that happened to one message, or to one connection, as
// one log line tells it.
//
// Promise: plain data, standard library only. Parsers fill an Event that the caller owns and reuse it; the byte slices
// point into the line and are valid only until the sink returns, so a keeper copies what it keeps.
package event
