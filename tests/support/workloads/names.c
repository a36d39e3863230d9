// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Owns a process whose threads have names of their own: names NAME [work | leave]. One thread calls itself
 * NAME; another `NAME ended`, and ends. Then it prints "done" and pauses. With `work` the first opens a
 * file, maps 1,009 pages, connects to itself, and all is over; with `leave` the leader ends first.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *task;

static void connect_to_itself(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);
	int listening = socket(AF_INET, SOCK_STREAM, 0), near, far;
	char word[8];

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bind(listening, (void *)&address, size);
	listen(listening, 5);
	getsockname(listening, (void *)&address, &size);
	near = socket(AF_INET, SOCK_STREAM, 0);
	connect(near, (void *)&address, size);
	far = accept(listening, NULL, NULL);
	if (write(near, "hello", 5) == 5 && read(far, word, sizeof(word)) > 0)
		close(near);
	close(far);
	close(listening);
}

static void work(void)
{
	size_t bytes = 1009 * 4096;

	close(open("/etc/hostname", O_RDONLY));
	munmap(mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	       bytes);
	connect_to_itself();
}

static void *live(void *name)
{
	prctl(PR_SET_NAME, name);
	if (!strcmp(task, "work"))
		work();
	else if (!strcmp(task, "leave"))
		usleep(100000);
	else
		pause();
	return NULL;
}

static void *end(void *name)
{
	char own[16];

	snprintf(own, sizeof(own), "%.8s ended", (char *)name);
	prctl(PR_SET_NAME, own);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t living, ending;

	if (argc < 2)
		return 2;
	task = argc > 2 ? argv[2] : "";
	pthread_create(&living, NULL, live, argv[1]);
	pthread_create(&ending, NULL, end, argv[1]);
	pthread_join(ending, NULL);
	if (!strcmp(task, "leave"))
		pthread_exit(NULL);
	if (!strcmp(task, "work"))
		return pthread_join(living, NULL);
	puts("done");
	fflush(stdout);
	pause();
}
