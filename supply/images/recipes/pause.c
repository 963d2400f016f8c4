/* The process that holds a pod's namespaces: it sleeps, reaps orphaned child processes, and exits on SIGINT or SIGTERM.
 * Equivalent to https://github.com/kubernetes/kubernetes/blob/master/build/pause/linux/pause.c */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal_number) {
  (void)signal_number;
  _exit(0);
}

static void reap(int signal_number) {
  (void)signal_number;
  while (waitpid(-1, NULL, WNOHANG) > 0) {
  }
}

int main(void) {
  struct sigaction ending = {.sa_handler = end};
  struct sigaction reaping = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
  if (sigaction(SIGINT, &ending, NULL) < 0 || sigaction(SIGTERM, &ending, NULL) < 0) return EXIT_FAILURE;
  if (sigaction(SIGCHLD, &reaping, NULL) < 0) return EXIT_FAILURE;
  for (;;) pause();
}
