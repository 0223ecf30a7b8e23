// What Go itself makes of a template: one JSON object a line in, one out.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
)

type question struct {
	Template string
	Data     interface{}
	Ints     bool
}

type answer struct {
	Out   string
	Error string
}

// Numbers that are whole become int, as those of a struct are.
func whole(value interface{}) interface{} {
	switch v := value.(type) {
	case map[string]interface{}:
		for key := range v {
			v[key] = whole(v[key])
		}
	case []interface{}:
		for i := range v {
			v[i] = whole(v[i])
		}
	case float64:
		if v == float64(int(v)) {
			return int(v)
		}
	}
	return value
}

func join(items interface{}, separator string) (string, error) {
	if items == nil {
		return "", nil
	}
	if texts, ok := items.([]string); ok {
		return strings.Join(texts, separator), nil
	}
	list, ok := items.([]interface{})
	if !ok {
		return "", fmt.Errorf("not a list")
	}
	texts := []string{}
	for _, item := range list {
		text, ok := item.(string)
		if !ok {
			return "", fmt.Errorf("not a text")
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, separator), nil
}

func split(text string, separator string) []interface{} {
	found := []interface{}{}
	for _, part := range strings.Split(text, separator) {
		found = append(found, part)
	}
	return found
}

var functions = template.FuncMap{
	"json":       func(v interface{}) (string, error) { b, err := json.Marshal(v); return string(b), err },
	"prettyjson": func(v interface{}) (string, error) { b, err := json.MarshalIndent(v, "", "    "); return string(b), err },
	"join":       join,
	"split":      split,
	"lower":      strings.ToLower,
	"upper":      strings.ToUpper,
}

func filled(q question) answer {
	data := q.Data
	if q.Ints {
		data = whole(data)
	}
	parsed, err := template.New("").Funcs(functions).Parse(q.Template)
	if err != nil {
		return answer{Error: err.Error()}
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, data); err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Out: out.String()}
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			out.Encode(answer{Error: "not a question: " + err.Error()})
			continue
		}
		out.Encode(filled(q))
	}
}
