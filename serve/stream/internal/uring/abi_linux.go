package uring

import "unsafe"

// What of linux/io_uring.h is used.
const (
	opSend         = 26
	setupSubmitAll = 1 << 7 // one that fails does not hold up those behind; Linux 5.18
	featSingleMap  = 1 << 0
	enterGetEvents = 1 << 0
	offsetRings    = 0
	offsetEntries  = 0x10000000
)

// params is struct io_uring_params.
type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sq                                                                     struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, entriesAt, flags, _ uint32
		_                                                        uint64
	}
}

// request is struct io_uring_sqe, as a send uses it.
type request struct {
	op, flags uint8
	priority  uint16
	fd        int32
	_         uint64
	addr      uint64
	length    uint32
	msgFlags  uint32
	tag       uint64
	_         [3]uint64
}

// completion is struct io_uring_cqe.
type completion struct {
	tag    uint64
	result int32
	_      uint32
}

// They are as large as the kernel's on every processor.
var (
	_ [120]byte = [unsafe.Sizeof(params{})]byte{}
	_ [64]byte  = [unsafe.Sizeof(request{})]byte{}
	_ [16]byte  = [unsafe.Sizeof(completion{})]byte{}
)
