/* SPDX-License-Identifier: GPL-2.0-only OR MIT */

/*
 * Owns the load of connections: `connector short COUNT RATE` opens, uses and closes COUNT of them on
 * the loopback at RATE a second (0: as fast as it goes), `connector idle COUNT` holds so many open and
 * prints "ready PORT", `connector bulk SECONDS` prints the bytes a second that one connection carries.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in place = { .sin_family = AF_INET };

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int listening(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t size = sizeof(place);

	place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (void *)&place, size) || listen(fd, 1024) ||
	    getsockname(fd, (void *)&place, &size))
		exit(1);
	return fd;
}

static int connected(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	/* of 28,000 ports none may wait for its TIME_WAIT */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (connect(fd, (void *)&place, sizeof(place))) {
		perror("connect");
		exit(1);
	}
	return fd;
}

static void short_ones(long count, long rate)
{
	struct linger at_once = { 1, 0 };
	int server = listening();
	double began = now();
	char byte;

	for (long i = 0; i < count; i++) {
		int out = connected(), in = accept(server, NULL, NULL);

		while (rate && now() < began + (double)i / (double)rate)
			;
		if (write(out, "x", 1) != 1 || read(in, &byte, 1) != 1)
			exit(1);
		shutdown(out, SHUT_WR);
		if (read(in, &byte, 1) != 0)
			exit(1);
		close(in);
		setsockopt(out, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(out);
	}
	printf("%.3f\n", now() - began);
}

static void idle_ones(long count)
{
	int server = listening();

	for (long i = 0; i < count; i++) {
		connected();
		if (accept(server, NULL, NULL) < 0)
			exit(1);
	}
	printf("ready %d\n", ntohs(place.sin_port));
	fflush(stdout);
	pause();
}

static void *swallow(void *argument)
{
	static char buffer[1 << 17];
	int fd = accept(*(int *)argument, NULL, NULL);

	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
	return NULL;
}

static void bulk(double seconds)
{
	static char buffer[1 << 17];
	int server = listening(), out;
	pthread_t reader;
	double began, sent = 0;

	pthread_create(&reader, NULL, swallow, &server);
	out = connected();
	for (began = now(); now() < began + seconds;)
		sent += (double)write(out, buffer, sizeof(buffer));
	printf("%.0f\n", sent / (now() - began));
}

int main(int count, char **words)
{
	if (count == 4 && !strcmp(words[1], "short"))
		short_ones(atol(words[2]), atol(words[3]));
	else if (count == 3 && !strcmp(words[1], "idle"))
		idle_ones(atol(words[2]));
	else if (count == 3 && !strcmp(words[1], "bulk"))
		bulk(atof(words[2]));
	else
		return 2;
	return 0;
}
