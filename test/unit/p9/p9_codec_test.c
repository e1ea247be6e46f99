/* SPDX-License-Identifier: Apache-2.0
 * test/unit/p9/p9_codec_test.c - every message of the table there and back, and what must be refused
 */
#include <criterion/criterion.h>
#include <errno.h>

#include "p9.h"

TestSuite(p9_codec, .timeout = 20);

static uint64_t seed;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

static const char text[] = "the quick brown fox jumps over the lazy dog; pack my box with five dozen jugs";

/* One filler for each field kind of the table. */
static uint8_t fill_u8(void) { return (uint8_t)rnd(); }
static uint16_t fill_u16(void) { return (uint16_t)rnd(); }
static uint32_t fill_u32(void) { return (uint32_t)rnd(); }
static uint32_t fill_optu32(void) { return (uint32_t)rnd(); }
static uint64_t fill_u64(void) { return rnd(); }
static struct p9_str fill_str(void) { return (struct p9_str){ text, (uint16_t)(rnd() % sizeof(text)) }; }
static struct p9_data fill_data(void)
{
	return (struct p9_data){ (const uint8_t *)text, (uint32_t)(rnd() % sizeof(text)) };
}
static struct p9_qid fill_qid(void) { return (struct p9_qid){ (uint8_t)rnd(), (uint32_t)rnd(), rnd() }; }
static struct p9_time fill_time(void) { return (struct p9_time){ rnd(), rnd() }; }
static struct p9x_stat fill_xstat(void)
{
	struct p9x_stat s;

	for (size_t i = 0; i < sizeof(s); i++)
		((uint8_t *)&s)[i] = (uint8_t)rnd();
	return s;
}
#define LIST_FILL(kind, type, max, one)                                                               \
	static type fill_##kind(void)                                                              \
	{                                                                                          \
		type l = { .n = (uint16_t)(rnd() % (max + 1)) };                                   \
		for (unsigned i = 0; i < l.n; i++)                                                 \
			l.v[i] = one();                                                            \
		return l;                                                                          \
	}
LIST_FILL(names, struct p9_names, P9_WALK_MAX, fill_str)
LIST_FILL(qids, struct p9_qids, P9_WALK_MAX, fill_qid)
LIST_FILL(xstats, struct p9x_stats, P9_WALK_MAX, fill_xstat)
LIST_FILL(fids, struct p9x_fids, P9X_FIDS_MAX, fill_u32)

static void fill(struct p9_msg *m, uint8_t type)
{
	memset(m, 0, sizeof(*m));
	m->type = type;
	m->tag = (uint16_t)rnd();
	switch (type) {
#define FILL(kind, field) b->field = fill_##kind();
#define CASE(nr, name)                                                                             \
	case nr: {                                                                                 \
		struct p9_##name *b __attribute__((unused)) = &m->name;                            \
		P9_FIELDS_##name(FILL)                                                             \
		break;                                                                             \
	}
		P9_MESSAGES(CASE)
#undef CASE
#undef FILL
	}
}

static const uint8_t all_types[] = {
#define TYPE(nr, name) nr,
	P9_MESSAGES(TYPE)
#undef TYPE
};

Test(p9_codec, round_trip_of_every_message)
{
	static uint8_t a[8192], b[8192];
	struct p9_msg in, out;

	for (unsigned round = 0; round < 200; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(all_types); i++) {
			long n, n2;

			seed = 1 + round * 977 + all_types[i];
			fill(&in, all_types[i]);
			n = p9_encode(&in, a, sizeof(a));
			cr_assert_gt(n, 0, "%s", p9_type_name(all_types[i]));
			cr_assert_eq(p9_size(a), (uint32_t)n);
			cr_assert_eq(p9_decode(a, (size_t)n, &out), 0, "%s", p9_type_name(all_types[i]));
			cr_assert_eq(out.type, in.type);
			cr_assert_eq(out.tag, in.tag);
			n2 = p9_encode(&out, b, sizeof(b));
			cr_assert_eq(n, n2);
			cr_assert_arr_eq(a, b, (size_t)n, "%s", p9_type_name(all_types[i]));
		}
	}
}

/* A known message byte by byte, so that both directions being wrong alike would be seen. */
Test(p9_codec, wire_bytes)
{
	static const uint8_t walk[] = { 0x1c, 0, 0, 0, 110, 0x34, 0x12, 1, 0, 0, 0, 2, 0, 0, 0, 2, 0,
					3, 0, 'e', 't', 'c', 4, 0, 'b', 'l', 'a', 'h' };
	struct p9_msg m = { .type = P9_Twalk, .tag = 0x1234 };
	uint8_t buf[64];

	m.Twalk.fid = 1;
	m.Twalk.newfid = 2;
	m.Twalk.names.n = 2;
	m.Twalk.names.v[0] = p9_str("etc");
	m.Twalk.names.v[1] = p9_str("blah");
	cr_assert_eq(p9_encode(&m, buf, sizeof(buf)), (long)sizeof(walk));
	cr_assert_arr_eq(buf, walk, sizeof(walk));
}

Test(p9_codec, every_cut_is_refused)
{
	static uint8_t a[8192];
	struct p9_msg in, out;

	for (size_t i = 0; i < ARRAY_SIZE(all_types); i++) {
		bool opt = all_types[i] == P9_Tfsync; /* its last field may be missing */
		long n;

		seed = 77 + i;
		fill(&in, all_types[i]);
		n = p9_encode(&in, a, sizeof(a));
		for (long cut = 0; cut < n; cut++) {
			struct wcursor w = wcursor_make(a, 4);

			put_le32(&w, (uint32_t)cut);
			if (opt && cut == n - 4)
				continue;
			cr_assert_eq(p9_decode(a, (size_t)cut, &out), -EPROTO, "%s cut at %ld",
				     p9_type_name(all_types[i]), cut);
		}
		if (opt)
			continue;
		struct wcursor w = wcursor_make(a, 4);
		put_le32(&w, (uint32_t)n + 1);
		cr_assert_eq(p9_decode(a, (size_t)n + 1, &out), -EPROTO, "%s with a byte left over",
			     p9_type_name(all_types[i]));
	}
}

Test(p9_codec, size_field_must_agree)
{
	uint8_t buf[64];
	struct p9_msg m = { .type = P9_Tclunk, .tag = 1 }, out;
	long n = p9_encode(&m, buf, sizeof(buf));

	buf[0]++;
	cr_assert_eq(p9_decode(buf, (size_t)n, &out), -EPROTO);
	buf[0] = 0;
	cr_assert_eq(p9_decode(buf, (size_t)n, &out), -EPROTO);
}

Test(p9_codec, too_many_names)
{
	uint8_t buf[256];
	struct wcursor w = wcursor_make(buf, sizeof(buf));
	struct p9_msg out;

	put_le32(&w, 0);
	put_u8(&w, P9_Twalk);
	put_le16(&w, 1);
	put_le32(&w, 1);
	put_le32(&w, 2);
	put_le16(&w, P9_WALK_MAX + 1);
	for (int i = 0; i < P9_WALK_MAX + 1; i++) {
		put_le16(&w, 1);
		put_u8(&w, 'a');
	}
	struct wcursor h = wcursor_make(buf, 4);
	put_le32(&h, (uint32_t)wcursor_len(&w));
	cr_assert_eq(p9_decode(buf, wcursor_len(&w), &out), -EPROTO);
}

Test(p9_codec, unknown_type_keeps_the_tag)
{
	uint8_t buf[] = { 7, 0, 0, 0, 255, 0x21, 0x43 };
	struct p9_msg out;

	cr_assert_eq(p9_decode(buf, sizeof(buf), &out), -ENOSYS);
	cr_assert_eq(out.tag, 0x4321);
	cr_assert_null(p9_type_name(255));
}

Test(p9_codec, encode_refuses_what_does_not_fit)
{
	uint8_t buf[32];
	struct p9_msg m = { .type = P9_Rread };

	m.Rread.data = (struct p9_data){ (const uint8_t *)text, sizeof(text) };
	cr_assert_eq(p9_encode(&m, buf, sizeof(buf)), -EMSGSIZE);
	m.type = 255;
	cr_assert_eq(p9_encode(&m, buf, sizeof(buf)), -EPROTO);
}

Test(p9_codec, names)
{
	static const struct {
		const char *s;
		uint16_t len;
		int want;
	} rows[] = {
		{ "a", 1, 0 },	    { "...", 3, 0 },	 { ".a", 2, 0 },      { "", 0, -EINVAL },
		{ ".", 1, -EINVAL }, { "..", 2, -EINVAL }, { "a/b", 3, -EINVAL }, { "a\0b", 3, -EINVAL },
		{ "/", 1, -EINVAL },
	};
	char longer[300];

	memset(longer, 'x', sizeof(longer));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_assert_eq(p9_name_check((struct p9_str){ rows[i].s, rows[i].len }), rows[i].want, "row %zu", i);
	cr_assert_eq(p9_name_check((struct p9_str){ longer, 255 }), 0);
	cr_assert_eq(p9_name_check((struct p9_str){ longer, 256 }), -ENAMETOOLONG);
}

Test(p9_codec, directory_entries)
{
	uint8_t buf[4096];
	struct wcursor w = wcursor_make(buf, sizeof(buf));
	struct p9x_dirent e = { .off = 7, .name = p9_str("lib"), .target = p9_str("usr/lib") }, got;
	struct cursor c;

	seed = 5;
	e.st = fill_xstat();
	p9x_put_dirent(&w, &e);
	cr_assert_eq(wcursor_len(&w), p9x_dirent_len(3, 7));
	c = cursor_make(buf, wcursor_len(&w));
	cr_assert(p9x_get_dirent(&c, &got));
	cr_assert_eq(got.off, 7);
	cr_assert(p9_str_eq(got.name, "lib") && p9_str_eq(got.target, "usr/lib"));
	cr_assert_eq(got.st.ino, e.st.ino);
	cr_assert_not(p9x_get_dirent(&c, &got));
	cr_assert_not(c.bad);
	c = cursor_make(buf, wcursor_len(&w) - 1);
	cr_assert_not(p9x_get_dirent(&c, &got));
	cr_assert(c.bad);
}
