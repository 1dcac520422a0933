// Command mailwhy says why email fails: what is wrong, the evidence, whose job it is, the repair, and the proof.
package main

import "github.com/mailwhy/mailwhy/internal/cli"

func main() { cli.Main() }
