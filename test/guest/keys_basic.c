/* SPDX-License-Identifier: Apache-2.0
 * test/guest/keys_basic.c - add_key(2), request_key(2), keyctl(2): keys, keyrings, possession, rights, quota, life, /proc
 */
#include "guest.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define UID 54321 /* has no keys on any machine */
#define ALL 0x3f

typedef int key;

static long add(const char *type, const char *desc, const void *p, size_t n, int ring)
{
	return syscall(SYS_add_key, type, desc, p, n, ring);
}

static long kc(int op, long a, long b, long c, long d)
{
	return syscall(SYS_keyctl, op, a, b, c, d);
}

#define KC(op, ...) KC_(KEYCTL_##op, ##__VA_ARGS__, 0, 0, 0, 0)
#define KC_(op, a, b, c, d, ...) kc(op, (long)(a), (long)(b), (long)(c), (long)(d))

static const char *text(const char *path)
{
	static char buf[65536];
	ssize_t n, len = 0;
	int fd = open(path, O_RDONLY);

	CHECK(fd >= 0);
	while ((n = read(fd, buf + len, sizeof(buf) - 1 - (size_t)len)) > 0)
		len += n;
	CHECK(n == 0);
	buf[len] = 0;
	close(fd);
	return buf;
}

/* The key's line in /proc/keys: flags, time, rights and the rest without number and references. */
static const char *line(key k, char flags[16], char when[16])
{
	static char rest[4096];
	char want[16];
	const char *p;
	unsigned perm;

	snprintf(want, sizeof(want), "%08x ", (unsigned)k);
	for (int i = 0; i < 100; i++, usleep(10000)) { /* the list may be changing while it is read */
		p = strstr(text("/proc/keys"), want);
		if (p && sscanf(p, "%*x %15s %*u %15s %x %4000[^\n]", flags, when, &perm, rest) == 4)
			return rest;
	}
	return NULL;
}

/* Linux lets go of what is unlinked a little later. */
static int gone(key k)
{
	for (int i = 0; i < 500; i++, usleep(10000))
		if (KC(DESCRIBE, k, NULL, 0) == -1 && errno == ENOKEY)
			return 1;
	return 0;
}

static const char *quota(char out[64])
{
	const char *p = strstr(text("/proc/key-users"), "54321:");
	int usage, a, b, qk = 0, mk, qb = 0, mb;

	CHECK(!p || sscanf(p, "54321: %d %d/%d %d/%d %d/%d", &usage, &a, &b, &qk, &mk, &qb, &mb) == 7);
	snprintf(out, 64, "%d %d", qk, qb);
	return out;
}

static void arguments(void)
{
	char big[5000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	CHECK_ERRNO(add("user", "a", "p", 1 << 20, KEY_SPEC_THREAD_KEYRING), EINVAL);
	CHECK_ERRNO(add(NULL, "a", "p", 1, KEY_SPEC_THREAD_KEYRING), EFAULT);
	CHECK_ERRNO(add("", "a", "p", 1, KEY_SPEC_THREAD_KEYRING), EINVAL);
	CHECK_ERRNO(add("0123456789012345678901234567890123456789", "a", "p", 1, KEY_SPEC_THREAD_KEYRING), EINVAL);
	CHECK_ERRNO(add(".user", "a", "p", 1, KEY_SPEC_THREAD_KEYRING), EPERM);
	CHECK_ERRNO(add("keyring", ".a", NULL, 0, KEY_SPEC_THREAD_KEYRING), EPERM);
	CHECK_ERRNO(add("nosuchtype", "a", "p", 1, KEY_SPEC_THREAD_KEYRING), ENODEV);
	CHECK_ERRNO(add("user", big, "p", 1, KEY_SPEC_THREAD_KEYRING), EINVAL);
	CHECK_ERRNO(add("user", "", "p", 1, KEY_SPEC_THREAD_KEYRING), EINVAL);
	CHECK_ERRNO(add("user", NULL, "p", 1, KEY_SPEC_THREAD_KEYRING), EINVAL);
	CHECK_ERRNO(add("user", "a", NULL, 1, KEY_SPEC_THREAD_KEYRING), EFAULT);
	CHECK_ERRNO(add("user", "a", NULL, 0, KEY_SPEC_THREAD_KEYRING), EINVAL);
	CHECK_ERRNO(add("user", "a", "p", 1, KEY_SPEC_GROUP_KEYRING), EINVAL);
	CHECK_ERRNO(add("user", "a", "p", 1, 0), EINVAL);
	CHECK_ERRNO(add("user", "a", "p", 1, -9), EINVAL);
	CHECK_ERRNO(add("user", "a", "p", 1, KEY_SPEC_REQKEY_AUTH_KEY), ENOKEY);
	CHECK_ERRNO(add("logon", "nocolon", "p", 1, KEY_SPEC_THREAD_KEYRING), EINVAL);
	CHECK_ERRNO(add("logon", ":x", "p", 1, KEY_SPEC_THREAD_KEYRING), EINVAL);
	CHECK_ERRNO(add("keyring", "r", "p", 1, KEY_SPEC_THREAD_KEYRING), EINVAL);
	CHECK_ERRNO(kc(99, 0, 0, 0, 0), EOPNOTSUPP);
	CHECK_ERRNO(KC(JOIN_SESSION_KEYRING, ".x"), EPERM);
	CHECK_ERRNO(KC(INSTANTIATE, 1), EPERM);
	CHECK_ERRNO(KC(REJECT, 1, 0, 1), EPERM);
	CHECK(KC(ASSUME_AUTHORITY, 0) == 0);
	CHECK_ERRNO(KC(ASSUME_AUTHORITY, -1), EINVAL);
	CHECK_ERRNO(KC(SETPERM, KEY_SPEC_THREAD_KEYRING, 0x40000000), EINVAL);
	CHECK(KC(CAPABILITIES, NULL, 0) == 2);
	big[0] = big[1] = 0, big[2] = big[3] = 'x';
	CHECK(KC(CAPABILITIES, big, 4) == 2 && (big[0] & 0xe3) == 0xe3 && (big[1] & 1) && !big[2] && !big[3]);
}

static void one_key(void)
{
	char b[64], f[16], w[16];
	key k, l, ring = (key)KC(GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);

	CHECK(ring > 0);
	k = (key)add("user", "one", "hello", 5, KEY_SPEC_SESSION_KEYRING);
	CHECK(k > 0);
	CHECK(KC(READ, k, b, sizeof(b)) == 5 && !memcmp(b, "hello", 5));
	b[0] = 'q';
	CHECK(KC(READ, k, b, 4) == 5 && b[0] == 'q');
	CHECK(KC(READ, k, NULL, 0) == 5);
	CHECK_ERRNO(KC(READ, k, 1, 10), EFAULT);
	CHECK(KC(DESCRIBE, k, b, sizeof(b)) == (long)strlen(b) + 1 && !strcmp(b, "user;54321;54321;3f010000;one"));
	b[0] = 'q';
	CHECK(KC(DESCRIBE, k, b, 5) == 30 && b[0] == 'q');
	CHECK(KC(GET_SECURITY, k, b, 10) == 1 && !b[0]);
	CHECK(add("user", "one", "longer value", 12, ring) == k); /* updated */
	CHECK(KC(READ, k, b, sizeof(b)) == 12);
	CHECK(KC(UPDATE, k, "xyz", 3) == 0 && KC(READ, k, b, sizeof(b)) == 3);
	CHECK_ERRNO(KC(UPDATE, k, "xyz", 0), EINVAL);
	CHECK_ERRNO(KC(UPDATE, k, "xyz", 4097), EINVAL);
	CHECK_ERRNO(KC(UPDATE, ring, "xyz", 3), EOPNOTSUPP);
	CHECK(!strcmp(line(k, f, w), "54321 54321 user      one: 3") && !strcmp(f, "I--Q---") && !strcmp(w, "perm"));
	CHECK(KC(SET_TIMEOUT, k, 7210) == 0 && line(k, f, w) && !strcmp(w, "2h"));
	CHECK(KC(SET_TIMEOUT, k, 0) == 0 && line(k, f, w) && !strcmp(w, "perm"));
	l = (key)add("logon", "svc:secret", "pw", 2, ring);
	CHECK(l > 0);
	CHECK_ERRNO(KC(READ, l, b, sizeof(b)), EOPNOTSUPP);
	CHECK(KC(DESCRIBE, l, b, sizeof(b)) > 0 && !strcmp(b, "logon;54321;54321;3d010000;svc:secret"));
	CHECK(KC(UPDATE, l, "pwd", 3) == 0);
	CHECK_ERRNO(KC(LINK, k, k), ENOTDIR);
	CHECK_ERRNO(KC(CLEAR, k), ENOTDIR);
	CHECK_ERRNO(add("user", "b", "c", 1, k), ENOTDIR);
	CHECK(KC(REVOKE, k) == 0);
	CHECK_ERRNO(KC(READ, k, b, sizeof(b)), EKEYREVOKED);
	CHECK_ERRNO(KC(DESCRIBE, k, b, sizeof(b)), EKEYREVOKED);
	CHECK_ERRNO(KC(REVOKE, k), EKEYREVOKED);
	CHECK(line(k, f, w) && !strcmp(f, "IR-Q---") && !strcmp(w, "expd"));
	l = (key)add("user", "one", "again", 5, ring); /* a new one takes its place */
	CHECK(l > 0 && l != k);
	CHECK(gone(k));
	CHECK(KC(INVALIDATE, l) == 0);
	CHECK(gone(l));
	CHECK(KC(UNLINK, l = (key)add("user", "gone", "x", 1, ring), ring) == 0);
	CHECK(gone(l));
	k = (key)add("user", "short", "x", 1, ring);
	CHECK(KC(SET_TIMEOUT, k, 1) == 0);
	usleep(1100000);
	CHECK_ERRNO(KC(READ, k, b, 1), EKEYEXPIRED);
	CHECK(line(k, f, w) && !strcmp(w, "expd"));
	CHECK_ERRNO(syscall(SYS_request_key, "user", "short", NULL, 0), ENOKEY);
	CHECK_ERRNO(KC(SEARCH, ring, "user", "short", 0), EKEYEXPIRED);
	CHECK(KC(UNLINK, k, ring) == 0);
}

static void rings(void)
{
	key r[10], k, ring = (key)KC(GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0), two, ids[8];

	CHECK(KC(CLEAR, ring) == 0);
	CHECK(KC(READ, ring, ids, sizeof(ids)) == 0);
	r[0] = (key)add("keyring", "r0", NULL, 0, ring);
	for (int i = 1; i < 8; i++) {
		char name[8];

		snprintf(name, sizeof(name), "r%d", i);
		r[i] = (key)add("keyring", name, NULL, 0, r[i - 1]);
		CHECK(r[i] > 0);
	}
	CHECK_ERRNO(KC(LINK, r[0], r[0]), EDEADLK);
	CHECK_ERRNO(KC(LINK, r[0], r[3]), EDEADLK);
	two = (key)add("keyring", "two", NULL, 0, ring);
	CHECK_ERRNO(KC(LINK, r[0], two), ELOOP);
	CHECK(KC(LINK, r[1], two) == 0);
	k = (key)add("user", "deep", "x", 1, r[5]);
	CHECK(k > 0 && KC(SEARCH, r[0], "user", "deep", 0) == k);
	CHECK(syscall(SYS_request_key, "user", "deep", NULL, 0) == k); /* ring, r0, ..., r5 */
	CHECK(KC(SEARCH, ring, "keyring", "r5", two) == r[5]);
	CHECK(KC(READ, two, ids, sizeof(ids)) == 8);
	CHECK(KC(UNLINK, r[5], two) == 0);
	CHECK_ERRNO(KC(UNLINK, r[5], two), ENOENT);
	CHECK_ERRNO(KC(SEARCH, ring, "user", "none", 0), ENOKEY);
	CHECK_ERRNO(KC(SEARCH, ring, "nosuchtype", "none", 0), ENOKEY);
	CHECK_ERRNO(KC(SEARCH, k, "user", "none", 0), ENOTDIR);
	CHECK(KC(MOVE, k, r[5], two, 0) == 0);
	CHECK_ERRNO(KC(MOVE, k, r[5], two, 0), ENOENT);
	CHECK(add("user", "deep", "y", 1, r[5]) > 0);
	CHECK_ERRNO(KC(MOVE, k, two, r[5], KEYCTL_MOVE_EXCL), EEXIST);
	CHECK_ERRNO(KC(MOVE, k, two, r[5], 2), EINVAL);
	CHECK(KC(MOVE, k, two, r[5], 0) == 0 && KC(SEARCH, r[5], "user", "deep", 0) == k);
	CHECK(KC(RESTRICT_KEYRING, two, NULL, NULL) == 0);
	CHECK_ERRNO(KC(RESTRICT_KEYRING, two, NULL, NULL), EEXIST);
	CHECK_ERRNO(KC(RESTRICT_KEYRING, ring, "user", "x"), ENOENT);
	CHECK_ERRNO(KC(LINK, k, two), EPERM);
	CHECK_ERRNO(add("user", "other", "y", 1, two), EPERM);
	/* No right to search: what is below is not found and not possessed, but by number it can be viewed. */
	CHECK(KC(CLEAR, ring) == 0);
	r[0] = (key)add("keyring", "closed", NULL, 0, ring);
	k = (key)add("user", "inside", "z", 1, r[0]);
	CHECK(KC(READ, k, NULL, 0) == 1);
	CHECK(KC(SETPERM, r[0], 0x37010000) == 0);
	CHECK_ERRNO(KC(SEARCH, ring, "user", "inside", 0), ENOKEY);
	CHECK_ERRNO(syscall(SYS_request_key, "user", "inside", NULL, 0), ENOKEY);
	CHECK_ERRNO(KC(READ, k, NULL, 0), EACCES);
	CHECK(KC(DESCRIBE, k, NULL, 0) > 0);
	CHECK_ERRNO(KC(CHOWN, ring, 0, -1), EACCES);
	CHECK(KC(CHOWN, ring, -1, -1) == 0);
	CHECK(KC(CLEAR, ring) == 0);
}

static void requests(void)
{
	char f[16], w[16];
	key k, ring = (key)KC(GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0), ids[8], t;

	CHECK_ERRNO(syscall(SYS_request_key, "user", "absent", NULL, 0), ENOKEY);
	CHECK_ERRNO(syscall(SYS_request_key, "nosuchtype", "absent", NULL, 0), ENOKEY);
	CHECK_ERRNO(syscall(SYS_request_key, ".user", "absent", NULL, 0), EPERM);
	CHECK_ERRNO(syscall(SYS_request_key, "user", NULL, NULL, 0), EFAULT);
	k = (key)add("user", "present", "x", 1, ring);
	CHECK(KC(CLEAR, KEY_SPEC_THREAD_KEYRING) == 0);
	CHECK(syscall(SYS_request_key, "user", "present", NULL, KEY_SPEC_THREAD_KEYRING) == k);
	t = (key)KC(GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0);
	CHECK(t > 0 && KC(READ, t, ids, sizeof(ids)) == 4 && ids[0] == k);
	/* Nobody can make it: known to be absent for a minute. */
	CHECK(KC(SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_SESSION_KEYRING) == KEY_REQKEY_DEFL_DEFAULT);
	CHECK(KC(SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_NO_CHANGE) == KEY_REQKEY_DEFL_SESSION_KEYRING);
	CHECK_ERRNO(KC(SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_GROUP_KEYRING), EINVAL);
	CHECK_ERRNO(KC(SET_REQKEY_KEYRING, 8), EINVAL);
	CHECK(KC(CLEAR, ring) == 0);
	CHECK(syscall(SYS_request_key, "user", "absent", "please", 0) == -1 && (errno == ENOENT /* no program */ || errno == ENOKEY));
	CHECK_ERRNO(syscall(SYS_request_key, "user", "absent", "please", 0), ENOKEY);
	CHECK(KC(READ, ring, ids, sizeof(ids)) == 4);
	CHECK(!strcmp(line(ids[0], f, w), "54321 54321 user      absent") && !strcmp(f, "I--Q-N-") && (w[strlen(w) - 1] == 's' || !strcmp(w, "1m")));
	CHECK_ERRNO(KC(READ, ids[0], NULL, 0), ENOKEY);
	CHECK(KC(DESCRIBE, ids[0], NULL, 0) > 0);
	CHECK(add("user", "absent", "here", 4, ring) == ids[0] && KC(READ, ids[0], NULL, 0) == 4); /* now it is there */
	CHECK(KC(CLEAR, ring) == 0);
}

static void *in_thread(void *arg)
{
	key *ids = arg;

	ids[2] = (key)KC(GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0);
	ids[3] = (key)KC(GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 0);
	return NULL;
}

static void tasks(int self)
{
	key ids[4], ses = (key)KC(GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0), us, u, n;
	char f[16], w[16], arg[32];
	pthread_t th;
	int st;

	ids[0] = (key)KC(GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 1);
	ids[1] = (key)KC(GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1);
	CHECK(ids[0] > 0 && ids[1] > 0);
	CHECK(!strcmp(line(ids[0], f, w), "54321 54321 keyring   _tid: 1"));
	CHECK(KC(CLEAR, ids[0]) == 0 && !strcmp(line(ids[0], f, w), "54321 54321 keyring   _tid: empty"));
	CHECK(!strcmp(line(ids[1], f, w), "54321 54321 keyring   _pid: empty"));
	CHECK(!strcmp(line(ses, f, w), "54321 54321 keyring   _ses: empty"));
	CHECK(pthread_create(&th, NULL, in_thread, ids) == 0 && pthread_join(th, NULL) == 0);
	CHECK(ids[2] > 0 && ids[2] != ids[0] && ids[3] == ids[1]); /* its own, the process's */
	if (!fork()) {
		CHECK_ERRNO(KC(GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 0), ENOKEY);
		CHECK_ERRNO(KC(GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 0), ENOKEY);
		CHECK(KC(GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) == ses);
		CHECK(KC(SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_NO_CHANGE) == KEY_REQKEY_DEFL_SESSION_KEYRING);
		CHECK(KC(GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1) > 0);
		snprintf(arg, sizeof(arg), "%d", ses);
		fexecve(self, (char *[]){ "again", arg, NULL }, environ);
		exit(2);
	}
	CHECK(wait(&st) > 0 && st == 0);
	u = (key)KC(GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0);
	us = (key)KC(GET_KEYRING_ID, KEY_SPEC_USER_SESSION_KEYRING, 0);
	CHECK(!strcmp(line(u, f, w), "54321 65534 keyring   _uid.54321: empty") && !strcmp(f, "I--Q---"));
	CHECK(!strcmp(line(us, f, w), "54321 65534 keyring   _uid_ses.54321: 1"));
	/* A session by name: others of the user find it when they may search it. */
	n = (key)KC(JOIN_SESSION_KEYRING, "guest_named");
	CHECK(n > 0 && !strcmp(line(n, f, w), "54321 54321 keyring   guest_named: empty"));
	CHECK(KC(SETPERM, n, 0x3f1b0000) == 0);
	CHECK(KC(JOIN_SESSION_KEYRING, "guest_named") == 0); /* it is already */
	if (!fork()) {
		CHECK(KC(JOIN_SESSION_KEYRING, NULL) != n);
		CHECK(KC(JOIN_SESSION_KEYRING, "guest_named") == n);
		CHECK(KC(JOIN_SESSION_KEYRING, NULL) > 0);
		n = (key)KC(GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
		CHECK(add("user", "from child", "x", 1, n) > 0);
		CHECK(KC(SESSION_TO_PARENT) == 0);
		exit(0);
	}
	CHECK(wait(&st) > 0 && st == 0);
	CHECK(KC(GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) != n);
	CHECK(syscall(SYS_request_key, "user", "from child", NULL, 0) > 0);
	CHECK(gone(n)); /* nobody has it any more */
}

static void others_and_quota(void)
{
	char b[64];
	static char big[20000];
	key ring, k, p;
	int n;

	CHECK(KC(JOIN_SESSION_KEYRING, NULL) > 0);
	CHECK(KC(CLEAR, KEY_SPEC_THREAD_KEYRING) == 0 && KC(CLEAR, KEY_SPEC_PROCESS_KEYRING) == 0);
	ring = (key)add("keyring", "quota", NULL, 0, KEY_SPEC_SESSION_KEYRING);
	k = (key)add("user", "four", "1234", 4, ring);
	CHECK(k > 0);
	/* _tid, _pid, _ses, _uid, _uid_ses and the two of here: names with their ends, 4 for each link, the payload */
	for (int i = 0; i < 500 && strcmp(quota(b), "7 68"); i++)
		usleep(10000);
	CHECK(!strcmp(quota(b), "7 68"));
	CHECK_ERRNO(add("user", "big", big, sizeof(big), ring), EDQUOT);
	CHECK_ERRNO(KC(READ, 1, b, 1), ENOKEY);
	for (n = 0; add("keyring", (snprintf(b, sizeof(b), "k%d", n), b), NULL, 0, ring) > 0; n++)
		CHECK(n < 300);
	CHECK(errno == EDQUOT && n == 200 - 7);
	CHECK_ERRNO(add("user", "one more", "x", 1, ring), EDQUOT);
	CHECK(KC(CLEAR, ring) == 0);
	for (n = 0; n < 500 && add("user", "one more", "x", 1, ring) < 0; n++)
		usleep(10000);
	CHECK(n < 500);
	p = (key)KC(GET_PERSISTENT, -1, ring);
	CHECK(p > 0 && KC(DESCRIBE, p, b, sizeof(b)) > 0 && !strcmp(b, "keyring;54321;65534;1f030000;_persistent.54321"));
	CHECK_ERRNO(KC(GET_PERSISTENT, 0, ring), EPERM);
	CHECK(KC(REVOKE, ring) == 0);
	CHECK_ERRNO(KC(LINK, k, ring), EKEYREVOKED);
}

/* Another user's view, by way of root. */
static void other_user(void)
{
	char b[64];
	key k, ring;
	int st;

	CHECK(KC(JOIN_SESSION_KEYRING, NULL) > 0);
	ring = (key)add("keyring", "mine", NULL, 0, KEY_SPEC_SESSION_KEYRING);
	k = (key)add("user", "open", "data", 4, ring);
	CHECK(k > 0 && KC(SETPERM, k, 0x3f010003) == 0);
	if (!fork()) {
		CHECK(KC(JOIN_SESSION_KEYRING, NULL) > 0);
		CHECK(KC(CHOWN, KEY_SPEC_SESSION_KEYRING, UID + 1, UID + 1) == 0 || errno == EACCES);
		CHECK(setresgid(UID + 1, UID + 1, UID + 1) == 0 && setresuid(UID + 1, UID + 1, UID + 1) == 0);
		CHECK(KC(READ, k, b, sizeof(b)) == 4);
		CHECK_ERRNO(KC(UPDATE, k, "x", 1), EACCES);
		CHECK_ERRNO(KC(LINK, k, KEY_SPEC_PROCESS_KEYRING), EACCES);
		CHECK_ERRNO(KC(DESCRIBE, ring, b, sizeof(b)), EACCES);
		CHECK_ERRNO(KC(CHOWN, k, UID + 1, -1), EACCES);
		CHECK_ERRNO(KC(SETPERM, k, 0), EACCES);
		CHECK_ERRNO(KC(REVOKE, k), EACCES);
		CHECK_ERRNO(KC(INVALIDATE, k), EACCES);
		CHECK(!strstr(text("/proc/keys"), " mine:") && strstr(text("/proc/keys"), " open: 4"));
		exit(0);
	}
	CHECK(wait(&st) > 0 && st == 0);
}

int main(int argc, char **argv)
{
	char b[64];
	int self;

	if (argc == 2) { /* after exec: the session stays, the rest is gone */
		CHECK_ERRNO(KC(GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 0), ENOKEY);
		CHECK(KC(GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) == atoi(argv[1]));
		CHECK(KC(SET_REQKEY_KEYRING, KEY_REQKEY_DEFL_NO_CHANGE) == KEY_REQKEY_DEFL_SESSION_KEYRING);
		return 0;
	}
	if (getuid() != 0)
		SKIP("not root");
	self = open(argv[0], O_RDONLY | O_CLOEXEC); /* the user may not reach it */
	CHECK(self >= 0);
	for (int i = 0; i < 500 && atoi(quota(b)) > 10; i++) /* of a run before this one */
		usleep(10000);
	other_user();
	CHECK(setgroups(0, NULL) == 0 && setresgid(UID, UID, UID) == 0 && setresuid(UID, UID, UID) == 0);
	if (KC(JOIN_SESSION_KEYRING, NULL) < 0 && (errno == ENOSYS || errno == EPERM))
		SKIP("no keyrings");
	arguments();
	one_key();
	rings();
	requests();
	tasks(self);
	others_and_quota();
	return 0;
}
