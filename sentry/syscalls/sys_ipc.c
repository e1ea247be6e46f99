/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_ipc.c - System V shared memory, semaphores, message queues
 */
#include "sentry/abi/time.h"
#include "sentry/ipc/ipc.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/timers.h"

#define SEM_OPM 500 /* the most that ipc_sysctl.c lets a namespace have */

SYSCALL_DEFINE3(shmget, int, key, uint64_t, size, int, flags)
{
	return shm_get(t, key, size, flags);
}

SYSCALL_DEFINE3(shmat, int, id, uint64_t, addr, int, flags)
{
	return shm_attach(t, id, addr, flags);
}

SYSCALL_DEFINE1(shmdt, uint64_t, addr)
{
	return shm_detach(t, addr);
}

SYSCALL_DEFINE3(shmctl, int, id, int, cmd, struct gptr, buf)
{
	return cmd < 0 || id < 0 ? -LINUX_EINVAL : shm_control(t, id, cmd, buf);
}

SYSCALL_DEFINE3(semget, int, key, int, nsems, int, flags)
{
	return sem_get(t, key, nsems, flags);
}

static long semop_common(struct task *t, int id, struct gptr uops, uint32_t nr, struct gptr uts)
{
	struct linux_sembuf few[16], *ops = few;
	struct linux_timespec ts;
	uint64_t deadline = NO_DEADLINE;
	long ret;

	if (nr < 1 || id < 0)
		return -LINUX_EINVAL;
	if (nr > MIN((uint64_t)SEM_OPM, ipc_limit(t->ns->ipc, IPC_LIM_SEMOPM)))
		return -LINUX_E2BIG;
	if (uts.v) {
		if (copyin_obj(t->u, &ts, uts) < 0)
			return -LINUX_EFAULT;
		if (!timespec_valid(&ts))
			return -LINUX_EINVAL;
		deadline = clock_deadline(LINUX_CLOCK_MONOTONIC, false, timespec_ns(&ts));
	}
	if (nr > ARRAY_SIZE(few)) {
		ops = malloc(nr * sizeof(*ops));
		if (!ops)
			return -LINUX_ENOMEM;
	}
	ret = copyin(t->u, ops, uops, nr * sizeof(*ops));
	if (!ret)
		ret = sem_op(t, id, ops, nr, deadline);
	if (ops != few)
		free(ops);
	return ret;
}

SYSCALL_DEFINE3(semop, int, id, struct gptr, ops, uint32_t, nr)
{
	return semop_common(t, id, ops, nr, GNULL);
}

SYSCALL_DEFINE4(semtimedop, int, id, struct gptr, ops, uint32_t, nr, struct gptr, uts)
{
	return semop_common(t, id, ops, nr, uts);
}

SYSCALL_DEFINE4(semctl, int, id, int, num, int, cmd, uint64_t, arg)
{
	return id < 0 ? -LINUX_EINVAL : sem_control(t, id, num, cmd, arg);
}

SYSCALL_DEFINE2(msgget, int, key, int, flags)
{
	return msg_get(t, key, flags);
}

SYSCALL_DEFINE4(msgsnd, int, id, struct gptr, buf, uint64_t, len, int, flags)
{
	return msg_send(t, id, buf, len, flags);
}

SYSCALL_DEFINE5(msgrcv, int, id, struct gptr, buf, uint64_t, len, int64_t, type, int, flags)
{
	return msg_receive(t, id, buf, len, type, flags);
}

SYSCALL_DEFINE3(msgctl, int, id, int, cmd, struct gptr, buf)
{
	return id < 0 || cmd < 0 ? -LINUX_EINVAL : msg_control(t, id, cmd, buf);
}
