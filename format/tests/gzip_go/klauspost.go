// Command klauspost writes with pgzip, or with flate if BLOCK is 0: klauspost BLOCK IN OUT.
package main

import (
	"io"
	"os"
	"strconv"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/pgzip"
)

func main() {
	block, err := strconv.Atoi(os.Args[1])
	check(err)
	plain, err := os.ReadFile(os.Args[2])
	check(err)
	out, err := os.Create(os.Args[3])
	check(err)
	writer := open(out, block)
	_, err = writer.Write(plain)
	check(err)
	check(writer.Close())
	check(out.Close())
}

func open(out io.Writer, block int) io.WriteCloser {
	if block == 0 {
		writer, err := flate.NewWriter(out, 5)
		check(err)
		return writer
	}
	writer := pgzip.NewWriter(out)
	check(writer.SetConcurrency(block, 2))
	return writer
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
