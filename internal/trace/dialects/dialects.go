// Package dialects is the list of every log dialect mailwhy reads. The dialects themselves know nothing of each other;
// this is the one place where they stand side by side, in the order in which they are asked.
package dialects

import (
	"github.com/mailwhy/mailwhy/internal/logs"
	"github.com/mailwhy/mailwhy/internal/logs/exim"
	"github.com/mailwhy/mailwhy/internal/logs/postfix"
)

// All gives the dialects in the order in which they are asked whose a program is. A new one is a line here.
func All() []logs.Dialect {
	return []logs.Dialect{
		postfix.Dialect{},
		exim.Dialect{},
	}
}
