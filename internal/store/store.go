// Package store remembers, in SQL. What it remembers is asked for by the rooms that call it (trace, intake, monitor, web,
// change, audit): they declare the interfaces, an implementation is a folder here (sqlite, clickhouse), and storetest is
// the one contract that every implementation passes.
//
// Promise: what Commit said is stored survives kill -9 and power loss; a batch that comes twice is stored once; a read
// never waits for a write. No SQL and no driver outside of this room.
package store
