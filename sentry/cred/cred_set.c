/* SPDX-License-Identifier: Apache-2.0
 * sentry/cred/cred_set.c - set*id(2), capset(2): the rules for changing one's own credentials
 *
 * Model:   each function edits a private copy (cred_dup()); the caller publishes it when 0 comes back and drops it
 *          otherwise, so a refused change leaves no trace.
 * Source:  setuid(2), setresuid(2), setreuid(2), setfsuid(2), capset(2), capabilities(7) "Effect of user ID changes".
 */
#include "sentry/cred/cred.h"

/* Capabilities that follow fsuid 0: those that rule over files. */
#define CAP_FS_SET                                                                                 \
	(CAP_BIT(LINUX_CAP_CHOWN) | CAP_BIT(LINUX_CAP_MKNOD) | CAP_BIT(LINUX_CAP_DAC_OVERRIDE) |   \
	 CAP_BIT(LINUX_CAP_DAC_READ_SEARCH) | CAP_BIT(LINUX_CAP_FOWNER) | CAP_BIT(LINUX_CAP_FSETID) | \
	 CAP_BIT(LINUX_CAP_MAC_OVERRIDE) | CAP_BIT(LINUX_CAP_LINUX_IMMUTABLE))

/* Root of the namespace as a kuid; ID_INVALID when 0 is not mapped. */
static uint32_t root_kuid(struct cred *c)
{
	return id_to_kernel(c->user_ns, false, 0);
}

/* capabilities(7): what leaving or becoming root does to the sets. */
static void fixup_caps(struct cred *c, uint32_t old_uid, uint32_t old_euid, uint32_t old_suid)
{
	uint32_t root = root_kuid(c);
	bool was, is;

	if (c->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	was = old_uid == root || old_euid == root || old_suid == root;
	is = c->uid == root || c->euid == root || c->suid == root;
	if (was && !is) {
		if (!(c->securebits & SECBIT_KEEP_CAPS))
			c->cap_permitted = c->cap_effective = 0;
		c->cap_ambient = 0;
	}
	if (old_euid == root && c->euid != root)
		c->cap_effective = 0;
	if (old_euid != root && c->euid == root)
		c->cap_effective = c->cap_permitted;
}

static bool may_setuid(const struct cred *c)
{
	return cred_has_cap(c, c->user_ns, LINUX_CAP_SETUID);
}

static bool may_setgid(const struct cred *c)
{
	return cred_has_cap(c, c->user_ns, LINUX_CAP_SETGID);
}

long cred_set_uid(struct cred *c, uint32_t uid)
{
	uint32_t ou = c->uid, oe = c->euid, os = c->suid;

	if (may_setuid(c))
		c->uid = c->suid = uid;
	else if (uid != c->uid && uid != c->suid)
		return -LINUX_EPERM;
	c->euid = c->fsuid = uid;
	fixup_caps(c, ou, oe, os);
	return 0;
}

long cred_set_resuid(struct cred *c, uint32_t r, uint32_t e, uint32_t s)
{
	uint32_t ou = c->uid, oe = c->euid, os = c->suid;
	uint32_t want[3] = { r, e, s };

	for (int i = 0; i < 3; i++)
		if (want[i] != ID_INVALID && want[i] != ou && want[i] != oe && want[i] != os && !may_setuid(c))
			return -LINUX_EPERM;
	if (r != ID_INVALID)
		c->uid = r;
	if (e != ID_INVALID)
		c->euid = e;
	if (s != ID_INVALID)
		c->suid = s;
	c->fsuid = c->euid;
	fixup_caps(c, ou, oe, os);
	return 0;
}

long cred_set_reuid(struct cred *c, uint32_t r, uint32_t e)
{
	uint32_t ou = c->uid, oe = c->euid, os = c->suid;

	if (r != ID_INVALID && r != ou && r != oe && !may_setuid(c))
		return -LINUX_EPERM;
	if (e != ID_INVALID && e != ou && e != oe && e != os && !may_setuid(c))
		return -LINUX_EPERM;
	if (r != ID_INVALID)
		c->uid = r;
	if (e != ID_INVALID)
		c->euid = e;
	if (r != ID_INVALID || (e != ID_INVALID && e != ou))
		c->suid = c->euid;
	c->fsuid = c->euid;
	fixup_caps(c, ou, oe, os);
	return 0;
}

void cred_set_fsuid(struct cred *c, uint32_t uid)
{
	uint32_t root = root_kuid(c), old = c->fsuid;

	if (uid != c->uid && uid != c->euid && uid != c->suid && uid != c->fsuid && !may_setuid(c))
		return;
	c->fsuid = uid;
	if (c->securebits & SECBIT_NO_SETUID_FIXUP)
		return;
	if (old == root && uid != root)
		c->cap_effective &= ~CAP_FS_SET;
	if (old != root && uid == root)
		c->cap_effective |= CAP_FS_SET & c->cap_permitted;
}

long cred_set_gid(struct cred *c, uint32_t gid)
{
	if (may_setgid(c))
		c->gid = c->sgid = gid;
	else if (gid != c->gid && gid != c->sgid)
		return -LINUX_EPERM;
	c->egid = c->fsgid = gid;
	return 0;
}

long cred_set_resgid(struct cred *c, uint32_t r, uint32_t e, uint32_t s)
{
	uint32_t want[3] = { r, e, s };

	for (int i = 0; i < 3; i++)
		if (want[i] != ID_INVALID && want[i] != c->gid && want[i] != c->egid && want[i] != c->sgid &&
		    !may_setgid(c))
			return -LINUX_EPERM;
	if (r != ID_INVALID)
		c->gid = r;
	if (e != ID_INVALID)
		c->egid = e;
	if (s != ID_INVALID)
		c->sgid = s;
	c->fsgid = c->egid;
	return 0;
}

long cred_set_regid(struct cred *c, uint32_t r, uint32_t e)
{
	uint32_t old = c->gid;

	if (r != ID_INVALID && r != c->gid && r != c->egid && !may_setgid(c))
		return -LINUX_EPERM;
	if (e != ID_INVALID && e != c->gid && e != c->egid && e != c->sgid && !may_setgid(c))
		return -LINUX_EPERM;
	if (r != ID_INVALID)
		c->gid = r;
	if (e != ID_INVALID)
		c->egid = e;
	if (r != ID_INVALID || (e != ID_INVALID && e != old))
		c->sgid = c->egid;
	c->fsgid = c->egid;
	return 0;
}

void cred_set_fsgid(struct cred *c, uint32_t gid)
{
	if (gid == c->gid || gid == c->egid || gid == c->sgid || gid == c->fsgid || may_setgid(c))
		c->fsgid = gid;
}

long cred_set_caps(struct cred *c, uint64_t eff, uint64_t perm, uint64_t inh)
{
	bool setpcap = cred_has_cap(c, c->user_ns, LINUX_CAP_SETPCAP);

	eff &= CAP_FULL;
	perm &= CAP_FULL;
	inh &= CAP_FULL;
	if (!setpcap && (inh & ~(c->cap_inheritable | c->cap_permitted)))
		return -LINUX_EPERM;
	if (inh & ~(c->cap_inheritable | c->cap_bset))
		return -LINUX_EPERM;
	if (perm & ~c->cap_permitted)
		return -LINUX_EPERM;
	if (eff & ~perm)
		return -LINUX_EPERM;
	c->cap_effective = eff;
	c->cap_permitted = perm;
	c->cap_inheritable = inh;
	c->cap_ambient &= perm & inh;
	return 0;
}

void cred_enter_user_ns(struct cred *c, struct user_ns *ns)
{
	user_ns_put(c->user_ns);
	c->user_ns = ns;
	c->securebits = 0;
	c->cap_inheritable = c->cap_ambient = 0;
	c->cap_permitted = c->cap_effective = c->cap_bset = CAP_FULL;
}
