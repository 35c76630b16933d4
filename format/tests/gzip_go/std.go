// Command std writes a gzip file with compress/gzip: std LEVEL IN OUT.
package main

import (
	"compress/gzip"
	"os"
	"strconv"
)

func main() {
	level, err := strconv.Atoi(os.Args[1])
	check(err)
	plain, err := os.ReadFile(os.Args[2])
	check(err)
	out, err := os.Create(os.Args[3])
	check(err)
	writer, err := gzip.NewWriterLevel(out, level)
	check(err)
	_, err = writer.Write(plain)
	check(err)
	check(writer.Close())
	check(out.Close())
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
