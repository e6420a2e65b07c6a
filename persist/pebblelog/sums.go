package pebblelog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// summed is a file system that checks the blocks of tables as they are read.
//
// Pebble does so too, and where the sum is wrong it tries all of the block's first
// 320,000 bits, each with a sum over the whole block, to say which of them may have
// flipped. For a block of 1 MiB, which is what a large event makes, that is half a
// minute of processor time, at each read anew. A block that is refused here never gets
// that far, and costs one sum.
type summed struct{ vfs.FS }

// Open implements [vfs.FS].
func (s summed) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	file, err := s.FS.Open(name, opts...)
	if err != nil || !isTable(name) {
		return file, err
	}
	info, err := file.Stat()
	if err != nil {
		return file, nil // whoever reads it will be told
	}
	return &summedFile{File: file, name: s.PathBase(name), size: info.Size()}, nil
}

// Unwrap implements [vfs.FS].
func (s summed) Unwrap() vfs.FS { return s.FS }

// summedFile is a table. It is not written to any more.
type summedFile struct {
	vfs.File
	name string
	size int64
}

// blockTrailer is the length of what is behind the bytes of a block: its type, and the
// sum over both.
const blockTrailer = 1 + 4

// ReadAt implements [vfs.File]. Pebble reads a table by whole blocks, each with its
// trailer, and the footer at the end, which has no sum of this kind.
func (f *summedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if err != nil || n < blockTrailer || off+int64(n) >= f.size {
		return n, err
	}
	if crc32.Checksum(p[:n-4], castagnoli) != unmasked(binary.LittleEndian.Uint32(p[n-4:n])) {
		return 0, fmt.Errorf("%w: %s: the block of %d bytes at %d has another sum than was written", pebble.ErrCorruption, f.name, n, off)
	}
	return n, nil
}

// unmasked returns the CRC-32C that a sum in a file of Pebble stands for: it keeps them
// rotated and moved, so that a sum over bytes with sums in them is worth something.
func unmasked(sum uint32) uint32 {
	rotated := sum - 0xa282ead8
	return rotated<<15 | rotated>>17
}
