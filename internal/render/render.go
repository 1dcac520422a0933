// Package render turns reports into text, HTML, JSON, Markdown, CSV, JUnit and SARIF. It holds no opinion and looks
// nothing up; everything that came from outside is escaped for the face it goes to.
package render
