// SPDX-License-Identifier: GPL-2.0-only OR MIT

/*
 * Operations that take known times, when a line comes: `slowops FIFO`. Three sleeps of 30 ms, a recv
 * over loopback TCP that waits 40 ms, an open of the FIFO that waits 50 ms, and a thousand quick calls.
 * It prints the two ports first: of the end that waits, and of its peer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void nap(long ms)
{
	struct timespec time = { 0, ms * 1000000 };

	syscall(SYS_nanosleep, &time, NULL);
}

int main(int count, char **words)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), waits = socket(AF_INET, SOCK_STREAM, 0), peer;
	socklen_t bytes = sizeof(at);
	struct sockaddr_in own;
	char byte = 0;

	if (count < 2 || bind(listener, (void *)&at, sizeof(at)) || listen(listener, 1) ||
	    getsockname(listener, (void *)&at, &bytes) || connect(waits, (void *)&at, sizeof(at)) ||
	    getsockname(waits, (void *)&own, &bytes))
		return 1;
	peer = accept(listener, NULL, NULL);
	printf("%d %d\n", ntohs(own.sin_port), ntohs(at.sin_port));
	fflush(stdout);
	getchar();
	for (int i = 0; i < 3; i++)
		nap(30);
	if (!fork()) {
		nap(40);
		_exit(send(peer, &byte, 1, 0) != 1);
	}
	if (recv(waits, &byte, 1, 0) != 1)
		return 1;
	wait(NULL);
	if (!fork()) {
		nap(50);
		_exit(open(words[1], O_WRONLY) < 0);
	}
	if (open(words[1], O_RDONLY) < 0)
		return 1;
	for (int i = 0; i < 1000; i++)
		syscall(SYS_getppid);
	return 0;
}
