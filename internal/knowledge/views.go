package knowledge

import "github.com/pelletier/go-toml/v2"

// Views is the table of what providers and standards tests ask for.
type Views struct {
	Checked toml.LocalDate `toml:"checked"`
	Views   []View         `toml:"view"`
}

// View is one list of requirements.
type View struct {
	ID     string    `toml:"id"`
	Name   Text      `toml:"name"`
	Source string    `toml:"source"`
	Rows   []ViewRow `toml:"row"`
}

// ViewRow is one requirement. The head of views.toml explains the fields.
type ViewRow struct {
	Title  Text     `toml:"title"`
	Need   string   `toml:"need"` // "all", "bulk", "good"
	Rules  []string `toml:"rules"`
	Strict bool     `toml:"strict"`
	Unless []string `toml:"unless"` // does not apply where one of these rules failed
	How    Text     `toml:"how"`
}

// Views reads views.toml.
func (b *Base) Views() (*Views, error) { return load[Views](b, "views.toml") }

// View finds a view by its id, or nil.
func (v *Views) View(id string) *View {
	for i := range v.Views {
		if v.Views[i].ID == id {
			return &v.Views[i]
		}
	}
	return nil
}

// IDs lists the views.
func (v *Views) IDs() []string {
	var out []string
	for _, x := range v.Views {
		out = append(out, x.ID)
	}
	return out
}
