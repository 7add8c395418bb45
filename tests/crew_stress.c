/* crew.c under a sanitizer: many small tasks, and many short lives with an end of either kind.
 *
 * What signs is a stand-in for libcrypto that writes what a signature would be.
 */

#include "signing.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIECES = 16, LENGTH = 8, TASKS = 20000, INSIDE = 64, LIVES = 200 };

struct crew;
struct crew *ekiden_crew_start(unsigned threads, int bell, int priority);
void ekiden_crew_put(struct crew *crew, struct task *task);
struct task *ekiden_crew_take(struct crew *crew);
void ekiden_crew_end(struct crew *crew, int leave);

static void *context_new(void) { return malloc(1); }
static void context_free(void *context) { free(context); }
static int context_reset(void *context) { return context != NULL; }
static void forget_errors(void) {}

static int init(void *context, void **unused, const void *digest, void *engine, void *key)
{
  return context != NULL && unused == NULL && digest == NULL && engine == NULL && key == NULL;
}

static int sign(void *context, unsigned char *signature, size_t *length, const unsigned char *data,
                size_t size)
{
  for (size_t at = 0; at < *length; at++)
    signature[at] = (unsigned char)(data[0] + size);
  return context != NULL;
}

static const struct crypto CRYPTO = {context_new, context_free, context_reset,
                                     init,        sign,         forget_errors};
static unsigned char data[PIECES];
static size_t ends[PIECES];

struct work { /* a task and all that it points to */
  struct task task;
  struct order order, *orders[1];
  unsigned char signatures[PIECES * LENGTH];
};

static struct work *new_work(void)
{
  struct work *work = calloc(1, sizeof *work);

  work->order.crypto = &CRYPTO;
  work->order.data = data;
  work->order.ends = ends;
  work->order.count = PIECES;
  work->order.signatures = work->signatures;
  work->order.length = LENGTH;
  work->orders[0] = &work->order;
  work->task.orders = work->orders;
  work->task.count = 1;
  return work;
}

static int right(const struct work *work)
{
  for (size_t at = 0; at < sizeof work->signatures; at++)
    if (work->signatures[at] != data[at / LENGTH] + 1)
      return 0;
  return work->order.done == PIECES;
}

static int many_tasks(const int *bell)
{
  struct crew *crew = ekiden_crew_start(4, bell[1], 0);
  int put = 0, taken = 0;
  char rung[64];

  while (taken < TASKS) {
    struct pollfd heard = {bell[0], POLLIN, 0};
    for (; put < TASKS && put - taken < INSIDE; put++)
      ekiden_crew_put(crew, &new_work()->task);
    if (poll(&heard, 1, 60000) != 1 || read(bell[0], rung, sizeof rung) < 1)
      return puts("nobody rang");
    for (struct task *done = ekiden_crew_take(crew), *next; done != NULL; done = next, taken++) {
      next = done->next;
      if (!right((struct work *)done))
        return puts("wrongly signed");
      free(done);
    }
  }
  ekiden_crew_end(crew, 0);
  return 0;
}

static int short_lives(const int *bell)
{
  for (int life = 0; life < LIVES; life++) {
    struct crew *crew = ekiden_crew_start(3, bell[1], 0);
    struct work *work = new_work();
    int leave = life % 2;

    ekiden_crew_put(crew, &work->task);
    ekiden_crew_end(crew, leave);
    if (!leave && !right(work))
      return puts("left undone");
    free(work);
  }
  return 0;
}

int main(void)
{
  int bell[2];

  for (size_t at = 0; at < PIECES; at++) {
    data[at] = (unsigned char)at;
    ends[at] = at + 1;
  }
  return pipe(bell) != 0 || many_tasks(bell) || short_lives(bell);
}
