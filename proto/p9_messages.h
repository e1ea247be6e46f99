/* SPDX-License-Identifier: Apache-2.0
 * proto/p9_messages.h - the one table of 9P messages; included by p9.h only
 *
 * Model:   P9_MESSAGES(M) calls M(number, name) for each message, and P9_FIELDS_<name>(F) calls
 *          F(kind, field) for each field in wire order. Kinds: u8 u16 u32 u64, optu32 (may be absent at
 *          the end), str (len[2]), data (count[4]), qid, names and qids (n[2]), time (sec[8] nsec[8]),
 *          xstat and xstats (our extended attributes), fids (n[2]).
 * Source:  numbers and layouts as in Linux include/net/9p/9p.h (the facts) and diod's protocol.md.
 */
#ifndef PROTO_P9_MESSAGES_H
#define PROTO_P9_MESSAGES_H

/* clang-format off */
#define P9_MESSAGES(M) \
	M(7, Rlerror) \
	M(8, Tstatfs)		M(9, Rstatfs) \
	M(12, Tlopen)		M(13, Rlopen) \
	M(14, Tlcreate)		M(15, Rlcreate) \
	M(16, Tsymlink)		M(17, Rsymlink) \
	M(18, Tmknod)		M(19, Rmknod) \
	M(20, Trename)		M(21, Rrename) \
	M(22, Treadlink)	M(23, Rreadlink) \
	M(24, Tgetattr)		M(25, Rgetattr) \
	M(26, Tsetattr)		M(27, Rsetattr) \
	M(30, Txattrwalk)	M(31, Rxattrwalk) \
	M(32, Txattrcreate)	M(33, Rxattrcreate) \
	M(40, Treaddir)		M(41, Rreaddir) \
	M(50, Tfsync)		M(51, Rfsync) \
	M(52, Tlock)		M(53, Rlock) \
	M(54, Tgetlock)		M(55, Rgetlock) \
	M(70, Tlink)		M(71, Rlink) \
	M(72, Tmkdir)		M(73, Rmkdir) \
	M(74, Trenameat)	M(75, Rrenameat) \
	M(76, Tunlinkat)	M(77, Runlinkat) \
	M(100, Tversion)	M(101, Rversion) \
	M(102, Tauth)		M(103, Rauth) \
	M(104, Tattach)		M(105, Rattach) \
	M(108, Tflush)		M(109, Rflush) \
	M(110, Twalk)		M(111, Rwalk) \
	M(116, Tread)		M(117, Rread) \
	M(118, Twrite)		M(119, Rwrite) \
	M(120, Tclunk)		M(121, Rclunk) \
	M(122, Tremove)		M(123, Rremove) \
	/* extensions, after P9_VERSION_EXT was agreed on */ \
	M(200, Txwalk)		M(201, Rxwalk) \
	M(202, Txreaddir)	M(203, Rxreaddir) \
	M(204, Txopen)		M(205, Rxopen) \
	M(206, Txcreate)	M(207, Rxcreate) \
	M(208, Txgetattr)	M(209, Rxgetattr) \
	M(210, Txsetattr)	M(211, Rxsetattr) \
	M(212, Txmake)		M(213, Rxmake) \
	M(214, Txrename)	M(215, Rxrename) \
	M(216, Txallocate)	M(217, Rxallocate) \
	M(218, Txgetxattr)	M(219, Rxgetxattr) \
	M(220, Txsetxattr)	M(221, Rxsetxattr) \
	M(222, Txconnect)	M(223, Rxconnect) \
	M(224, Txbind)		M(225, Rxbind) \
	M(226, Txlookup)	M(227, Rxlookup) \
	M(228, Txclunk)		M(229, Rxclunk)

#define P9_FIELDS_Rlerror(F)	F(u32, ecode)

#define P9_FIELDS_Tstatfs(F)	F(u32, fid)
#define P9_FIELDS_Rstatfs(F)	F(u32, type) F(u32, bsize) F(u64, blocks) F(u64, bfree) F(u64, bavail) \
				F(u64, files) F(u64, ffree) F(u64, fsid) F(u32, namelen)
#define P9_FIELDS_Tlopen(F)	F(u32, fid) F(u32, flags)
#define P9_FIELDS_Rlopen(F)	F(qid, qid) F(u32, iounit)
#define P9_FIELDS_Tlcreate(F)	F(u32, fid) F(str, name) F(u32, flags) F(u32, mode) F(u32, gid)
#define P9_FIELDS_Rlcreate(F)	F(qid, qid) F(u32, iounit)
#define P9_FIELDS_Tsymlink(F)	F(u32, dfid) F(str, name) F(str, target) F(u32, gid)
#define P9_FIELDS_Rsymlink(F)	F(qid, qid)
#define P9_FIELDS_Tmknod(F)	F(u32, dfid) F(str, name) F(u32, mode) F(u32, major) F(u32, minor) F(u32, gid)
#define P9_FIELDS_Rmknod(F)	F(qid, qid)
#define P9_FIELDS_Trename(F)	F(u32, fid) F(u32, dfid) F(str, name)
#define P9_FIELDS_Rrename(F)
#define P9_FIELDS_Treadlink(F)	F(u32, fid)
#define P9_FIELDS_Rreadlink(F)	F(str, target)
#define P9_FIELDS_Tgetattr(F)	F(u32, fid) F(u64, request_mask)
#define P9_FIELDS_Rgetattr(F)	F(u64, valid) F(qid, qid) F(u32, mode) F(u32, uid) F(u32, gid) F(u64, nlink) \
				F(u64, rdev) F(u64, size) F(u64, blksize) F(u64, blocks) F(time, atime) \
				F(time, mtime) F(time, ctime) F(time, btime) F(u64, gen) F(u64, data_version)
#define P9_FIELDS_Tsetattr(F)	F(u32, fid) F(u32, valid) F(u32, mode) F(u32, uid) F(u32, gid) F(u64, size) \
				F(time, atime) F(time, mtime)
#define P9_FIELDS_Rsetattr(F)
#define P9_FIELDS_Txattrwalk(F)	F(u32, fid) F(u32, newfid) F(str, name)
#define P9_FIELDS_Rxattrwalk(F)	F(u64, size)
#define P9_FIELDS_Txattrcreate(F) F(u32, fid) F(str, name) F(u64, attr_size) F(u32, flags)
#define P9_FIELDS_Rxattrcreate(F)
#define P9_FIELDS_Treaddir(F)	F(u32, fid) F(u64, offset) F(u32, count)
#define P9_FIELDS_Rreaddir(F)	F(data, data)
#define P9_FIELDS_Tfsync(F)	F(u32, fid) F(optu32, datasync)
#define P9_FIELDS_Rfsync(F)
#define P9_FIELDS_Tlock(F)	F(u32, fid) F(u8, type) F(u32, flags) F(u64, start) F(u64, length) \
				F(u32, proc_id) F(str, client_id)
#define P9_FIELDS_Rlock(F)	F(u8, status)
#define P9_FIELDS_Tgetlock(F)	F(u32, fid) F(u8, type) F(u64, start) F(u64, length) F(u32, proc_id) \
				F(str, client_id)
#define P9_FIELDS_Rgetlock(F)	F(u8, type) F(u64, start) F(u64, length) F(u32, proc_id) F(str, client_id)
#define P9_FIELDS_Tlink(F)	F(u32, dfid) F(u32, fid) F(str, name)
#define P9_FIELDS_Rlink(F)
#define P9_FIELDS_Tmkdir(F)	F(u32, dfid) F(str, name) F(u32, mode) F(u32, gid)
#define P9_FIELDS_Rmkdir(F)	F(qid, qid)
#define P9_FIELDS_Trenameat(F)	F(u32, olddfid) F(str, oldname) F(u32, newdfid) F(str, newname)
#define P9_FIELDS_Rrenameat(F)
#define P9_FIELDS_Tunlinkat(F)	F(u32, dfid) F(str, name) F(u32, flags)
#define P9_FIELDS_Runlinkat(F)
#define P9_FIELDS_Tversion(F)	F(u32, msize) F(str, version)
#define P9_FIELDS_Rversion(F)	F(u32, msize) F(str, version)
#define P9_FIELDS_Tauth(F)	F(u32, afid) F(str, uname) F(str, aname) F(u32, n_uname)
#define P9_FIELDS_Rauth(F)	F(qid, aqid)
#define P9_FIELDS_Tattach(F)	F(u32, fid) F(u32, afid) F(str, uname) F(str, aname) F(u32, n_uname)
#define P9_FIELDS_Rattach(F)	F(qid, qid)
#define P9_FIELDS_Tflush(F)	F(u16, oldtag)
#define P9_FIELDS_Rflush(F)
#define P9_FIELDS_Twalk(F)	F(u32, fid) F(u32, newfid) F(names, names)
#define P9_FIELDS_Rwalk(F)	F(qids, qids)
#define P9_FIELDS_Tread(F)	F(u32, fid) F(u64, offset) F(u32, count)
#define P9_FIELDS_Rread(F)	F(data, data)
#define P9_FIELDS_Twrite(F)	F(u32, fid) F(u64, offset) F(data, data)
#define P9_FIELDS_Rwrite(F)	F(u32, count)
#define P9_FIELDS_Tclunk(F)	F(u32, fid)
#define P9_FIELDS_Rclunk(F)
#define P9_FIELDS_Tremove(F)	F(u32, fid)
#define P9_FIELDS_Rremove(F)

/* Walk with the attributes of every component. newfid may be P9_NOFID: attributes only. Fewer stats
 * than names: ecode says why the next one failed, and newfid was not made. No names: of fid itself. */
#define P9_FIELDS_Txwalk(F)	F(u32, fid) F(u32, newfid) F(names, names)
#define P9_FIELDS_Rxwalk(F)	F(u32, ecode) F(xstats, stats)
/* A page of entries with attributes from a directory fid, which need not be open. Offset 0 starts
 * over; next is where to go on; eof 1: there is no more. */
#define P9_FIELDS_Txreaddir(F)	F(u32, fid) F(u64, offset) F(u32, count) F(u32, flags)
#define P9_FIELDS_Rxreaddir(F)	F(u64, next) F(u8, eof) F(data, data)
/* Open what @names lead to from @fid (none: itself) into @newfid (needed with P9X_FID only), and/or donate a
 * descriptor or the content: reading a file for the first time is one round trip. */
#define P9_FIELDS_Txopen(F)	F(u32, fid) F(u32, newfid) F(u32, flags) F(u32, want) F(u32, inline_max) \
				F(names, names)
#define P9_FIELDS_Rxopen(F)	F(u32, got) F(u32, iounit) F(xstat, stat) F(data, data)
/* Create a regular file; newfid always becomes a fid of it. */
#define P9_FIELDS_Txcreate(F)	F(u32, dfid) F(u32, newfid) F(str, name) F(u32, flags) F(u32, xflags) \
				F(u32, mode) F(u32, uid) F(u32, gid) F(u32, want)
#define P9_FIELDS_Rxcreate(F)	F(u32, got) F(u32, iounit) F(xstat, stat)
#define P9_FIELDS_Txgetattr(F)	F(u32, fid) F(u32, mask)
#define P9_FIELDS_Rxgetattr(F)	F(xstat, stat)
/* Tsetattr that answers with the attributes afterwards. */
#define P9_FIELDS_Txsetattr(F)	F(u32, fid) F(u32, valid) F(u32, mode) F(u32, uid) F(u32, gid) F(u64, size) \
				F(time, atime) F(time, mtime)
#define P9_FIELDS_Rxsetattr(F)	F(xstat, stat)
/* mkdir, mknod, symlink by the type in mode; target for a link only. */
#define P9_FIELDS_Txmake(F)	F(u32, dfid) F(str, name) F(u32, mode) F(u32, uid) F(u32, gid) F(u32, major) \
				F(u32, minor) F(str, target)
#define P9_FIELDS_Rxmake(F)	F(xstat, stat)
/* renameat2(2) with its flags. */
#define P9_FIELDS_Txrename(F)	F(u32, olddfid) F(str, oldname) F(u32, newdfid) F(str, newname) F(u32, flags)
#define P9_FIELDS_Rxrename(F)
#define P9_FIELDS_Txallocate(F)	F(u32, fid) F(u32, mode) F(u64, offset) F(u64, length)
#define P9_FIELDS_Rxallocate(F)
/* An empty name lists the names, each with its NUL. size 0: only the size, in .size. */
#define P9_FIELDS_Txgetxattr(F)	F(u32, fid) F(str, name) F(u32, size)
#define P9_FIELDS_Rxgetxattr(F)	F(u32, size) F(data, data)
#define P9_FIELDS_Txsetxattr(F)	F(u32, fid) F(str, name) F(u32, flags) F(data, value)
#define P9_FIELDS_Rxsetxattr(F)
/* A connected socket of the unix socket file @fid rides on the reply. */
#define P9_FIELDS_Txconnect(F)	F(u32, fid) F(u32, socktype)
#define P9_FIELDS_Rxconnect(F)
/* A socket bound to a new name in @dfid rides on the reply; backlog 0: it does not listen. */
#define P9_FIELDS_Txbind(F)	F(u32, dfid) F(str, name) F(u32, socktype) F(u32, mode) F(u32, uid) \
				F(u32, gid) F(u32, backlog)
#define P9_FIELDS_Rxbind(F)	F(xstat, stat)
/* A whole path in one question: Txwalk that also opens the end, where that has no effect on it. want P9X_FD: a
 * regular file's descriptor for reading rides on the reply; P9X_FID: a directory becomes newfid. What cannot be
 * had is missing in got and is no error; ecode and a short list of stats as in Rxwalk. target: where the last one
 * of them leads, if it is a symbolic link (empty: ask again). */
#define P9_FIELDS_Txlookup(F)	F(u32, fid) F(u32, newfid) F(u32, want) F(names, names)
#define P9_FIELDS_Rxlookup(F)	F(u32, ecode) F(u32, got) F(str, target) F(xstats, stats)
/* Many Tclunk at once; a number that is no fid is passed over. */
#define P9_FIELDS_Txclunk(F)	F(fids, fids)
#define P9_FIELDS_Rxclunk(F)
/* clang-format on */

#endif
