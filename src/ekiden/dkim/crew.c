/* Threads that sign and are none of Python's: they never ask for the interpreter's lock.
 *
 * A thread of Python's must have that lock to take a batch and to give it back. From a busy event
 * loop it comes after the switch interval only, with a wake-up of both; meanwhile a core may be
 * idle. These threads wait for a condition of their own, and ring a bell (one octet into a pipe)
 * that the loop listens to.
 *
 * The caller owns every task and what it points to, and keeps it until it has taken it back.
 */

#define _GNU_SOURCE

#include "signing.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/resource.h>
#include <sys/syscall.h>
#endif

struct crew {
  pthread_mutex_t lock;         /* of all below */
  pthread_cond_t changed;       /* there is a task, or the end has come */
  struct task *first, **end;    /* tasks to do, the oldest first */
  struct task *done;            /* and done, the latest first */
  int ending, bell, priority;
  unsigned begun;               /* threads that run */
  unsigned count;               /* and that were started */
  pthread_t threads[];
};

static void begin(const struct crew *crew, unsigned number)
{
#ifdef __linux__ /* gives threads names and priorities of their own; others need not */
  char name[16]; /* all that the kernel takes */

  snprintf(name, sizeof name, "ekiden-sign-%u", number % 1000);
  pthread_setname_np(pthread_self(), name);
  setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), crew->priority);
#else
  (void)crew, (void)number;
#endif
}

/* Take the oldest task; NULL when there is none and there will be none. Holds the lock. */
static struct task *next(struct crew *crew)
{
  struct task *task;

  while (crew->first == NULL && !crew->ending)
    pthread_cond_wait(&crew->changed, &crew->lock);
  if ((task = crew->first) != NULL && (crew->first = task->next) == NULL)
    crew->end = &crew->first;
  return task;
}

static void *run(void *given)
{
  struct crew *crew = given;
  struct task *task;

  pthread_mutex_lock(&crew->lock);
  begin(crew, crew->begun++);
  while ((task = next(crew)) != NULL) {
    pthread_mutex_unlock(&crew->lock);
    for (size_t number = 0; number < task->count; number++)
      ekiden_sign(task->orders[number]);
    pthread_mutex_lock(&crew->lock);
    task->next = crew->done;
    crew->done = task;
    if (task->next == NULL) { /* else it has rung, and nobody has come yet */
      pthread_mutex_unlock(&crew->lock);
      if (write(crew->bell, "", 1) < 0) {
        /* It has rung 65,536 times: that is enough. */
      }
      pthread_mutex_lock(&crew->lock);
    }
  }
  pthread_mutex_unlock(&crew->lock);
  return NULL;
}

static void free_crew(struct crew *crew)
{
  pthread_cond_destroy(&crew->changed);
  pthread_mutex_destroy(&crew->lock);
  free(crew);
}

/* End the threads and free the crew; what is done may have been left untaken.
 *
 * leave: do not begin the tasks that wait; each thread ends after the one it has.
 */
void ekiden_crew_end(struct crew *crew, int leave)
{
  pthread_mutex_lock(&crew->lock);
  crew->ending = 1;
  if (leave)
    crew->first = NULL;
  pthread_cond_broadcast(&crew->changed);
  pthread_mutex_unlock(&crew->lock);
  for (unsigned number = 0; number < crew->count; number++)
    pthread_join(crew->threads[number], NULL);
  free_crew(crew);
}

/* Start a crew.
 *
 * bell:     a descriptor that does not block; gets an octet when something is done.
 * priority: of the threads, as setpriority(2) takes it.
 *
 * Returns NULL where the system has no room for them.
 */
struct crew *ekiden_crew_start(unsigned threads, int bell, int priority)
{
  struct crew *crew = calloc(1, sizeof *crew + threads * sizeof crew->threads[0]);
  sigset_t all, before;

  if (crew == NULL)
    return NULL;
  pthread_mutex_init(&crew->lock, NULL);
  pthread_cond_init(&crew->changed, NULL);
  crew->end = &crew->first;
  crew->bell = bell;
  crew->priority = priority;
  sigfillset(&all); /* signals are the main thread's */
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (crew->count < threads &&
         pthread_create(&crew->threads[crew->count], NULL, run, crew) == 0)
    crew->count++;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (crew->count == threads)
    return crew;
  ekiden_crew_end(crew, 1);
  return NULL;
}

/* Hand in a task. */
void ekiden_crew_put(struct crew *crew, struct task *task)
{
  task->next = NULL;
  pthread_mutex_lock(&crew->lock);
  *crew->end = task;
  crew->end = &task->next;
  pthread_cond_signal(&crew->changed);
  pthread_mutex_unlock(&crew->lock);
}

/* Take all that is done, the latest first. */
struct task *ekiden_crew_take(struct crew *crew)
{
  struct task *done;

  pthread_mutex_lock(&crew->lock);
  done = crew->done;
  crew->done = NULL;
  pthread_mutex_unlock(&crew->lock);
  return done;
}
