package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spatehub/spate/loadtest/internal/config"
)

// maxData bounds a file of data, in bytes.
const maxData = 256 << 20

// textOrFile returns s, or what the file holds that it names after an @.
func textOrFile(s string) (string, error) {
	name, file := strings.CutPrefix(s, "@")
	if !file {
		return s, nil
	}
	b, err := readBounded(name)
	return string(b), err
}

func readBounded(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxData {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, info.Size(), maxData)
	}
	return os.ReadFile(name)
}

// readRows reads CSV whose first line names the columns, or one JSON object a line.
func readRows(name string) ([]config.Row, error) {
	b, err := readBounded(name)
	if err != nil {
		return nil, err
	}
	var rows []config.Row
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) {
		rows, err = jsonRows(b)
	} else {
		rows, err = csvRows(b)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s has no rows", name)
	}
	return rows, nil
}

func csvRows(b []byte) ([]config.Row, error) {
	list, err := csv.NewReader(bytes.NewReader(b)).ReadAll() // checks that all rows are as long
	if err != nil || len(list) == 0 {
		return nil, err
	}
	var rows []config.Row
	for _, values := range list[1:] {
		row := config.Row{}
		for i, column := range list[0] {
			row[strings.TrimSpace(column)] = values[i]
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func jsonRows(b []byte) ([]config.Row, error) {
	var rows []config.Row
	s := bufio.NewScanner(bytes.NewReader(b))
	s.Buffer(nil, maxData)
	for n := 1; s.Scan(); n++ {
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		var values map[string]json.RawMessage
		if err := json.Unmarshal(s.Bytes(), &values); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		row := config.Row{}
		for k, v := range values {
			var text string
			if json.Unmarshal(v, &text) != nil {
				text = string(v) // a number, an object...: as it stands
			}
			row[k] = text
		}
		rows = append(rows, row)
	}
	return rows, s.Err()
}
