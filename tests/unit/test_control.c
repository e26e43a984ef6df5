// SPDX-License-Identifier: BSD-2-Clause
/* test_control.c - the control protocol: what passes, what is refused, and who never waits. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "edge/control.h"

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

static char folder[] = "/tmp/nbl-control-XXXXXX";
static char path[64];
static int listen_fd;
static char error[256];

static void setup(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(folder, "/tmp/nbl-control-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	strcpy(address.sun_path, path);
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(listen_fd, 0);
	ck_assert_int_eq(bind(listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listen_fd, 1), 0);
}

static void teardown(void)
{
	if (listen_fd >= 0)
		close(listen_fd);
	unlink(path);
	rmdir(folder);
}

/* ---- a request's text ---- */

START_TEST(a_request_becomes_its_words)
{
	static const char text[] =
		"{\"schema\":1,\"command\":[\"show\",\"a b\",\"\",\"\\u00e4\"],\"more\":{}}";
	struct control_request r;

	ck_assert_int_eq(control_request_parse(text, strlen(text), &r, error, sizeof(error)), 0);
	ck_assert_uint_eq(r.n_words, 4);
	ck_assert_str_eq(r.words[0], "show");
	ck_assert_str_eq(r.words[1], "a b");
	ck_assert_str_eq(r.words[2], "");
	ck_assert_str_eq(r.words[3], "\xc3\xa4");
	control_request_done(&r);
}
END_TEST

START_TEST(what_is_no_request_is_refused_with_a_reason)
{
	static const char *const texts[] = {
		"", "{", "[]", "1", "{}", "{\"schema\":1}", "{\"schema\":1,\"command\":[]}",
		"{\"schema\":1,\"command\":\"show\"}", "{\"schema\":1,\"command\":[1]}",
		"{\"schema\":1,\"command\":[\"show\",null]}",
		"{\"schema\":2,\"command\":[\"show\"]}",
		"{\"command\":[\"show\"]}", "{\"schema\":\"1\",\"command\":[\"show\"]}",
		"{\"schema\":1,\"command\":[\"a\\u0000b\"]}",
		"{\"schema\":1,\"command\":[\"\xff\"]}",
		"{\"schema\":1,\"command\":[\"show\"]} x",
		"{\"schema\":1,\"schema\":1,\"command\":[\"show\"]}",
		"{\"schema\":1,\"command\":[\"show\"]",
	};

	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		struct control_request r;

		*error = '\0';
		ck_assert_msg(control_request_parse(texts[i], strlen(texts[i]), &r, error,
						    sizeof(error)) == -EPROTO, "accepted: %s",
						    texts[i]);
		ck_assert_msg(*error, "no reason for %s", texts[i]);
	}
}
END_TEST

START_TEST(a_request_of_64_words_is_read_and_of_65_refused)
{
	for (int n = CONTROL_MAX_WORDS; n <= CONTROL_MAX_WORDS + 1; n++) {
		json_t *words = json_array(), *root;
		struct control_request r;
		char *text;
		int result;

		for (int i = 0; i < n; i++)
			json_array_append_new(words, json_string("w"));
		root = json_pack("{s:i, s:o}", "schema", 1, "command", words);
		text = json_dumps(root, 0);
		result = control_request_parse(text, strlen(text), &r, error, sizeof(error));
		ck_assert_int_eq(result, n > CONTROL_MAX_WORDS ? -EPROTO : 0);
		if (!result)
			control_request_done(&r);
		free(text);
		json_decref(root);
	}
}
END_TEST

START_TEST(a_reply_has_only_the_parts_it_was_given)
{
	static const struct {
		int status;
		const char *error;
		bool data;
		const char *text;
	} cases[] = {
		{ 0, NULL, false, "{\"schema\":1,\"status\":0}" },
		{ 0, NULL, true, "{\"schema\":1,\"status\":0,\"data\":{\"schema\":1}}" },
		{ 4, "eth0: no", false, "{\"schema\":1,\"status\":4,\"error\":\"eth0: no\"}" },
		{ 1, "\xff\x1b", false,
		  "{\"schema\":1,\"status\":1,\"error\":\"\\\\xff\\\\x1b\"}" },
		{ 7, "x", true,
		  "{\"schema\":1,\"status\":7,\"error\":\"x\",\"data\":{\"schema\":1}}" },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		json_t *data = cases[i].data ? json_pack("{s:i}", "schema", 1) : NULL;
		json_t *reply = control_reply_new(cases[i].status, cases[i].error, data);
		char *text = json_dumps(reply, JSON_COMPACT);

		ck_assert_str_eq(text, cases[i].text);
		free(text);
		json_decref(reply);
	}
}
END_TEST

/* ---- the server's end of a connection ---- */

/* A connected pair: [0] a client's end, [1] for a peer, which does not block. */
static void make_pair(int fds[2], struct control_peer *p)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	control_peer_init(p, fds[1]);
}

START_TEST(a_request_is_complete_when_the_client_stops_writing_and_not_before)
{
	static const char text[] = "{\"schema\":1,\"command\":[\"show\"]}";
	struct control_peer p;
	int fds[2];

	make_pair(fds, &p);
	for (size_t i = 0; i < strlen(text); i++) {
		ck_assert_int_eq(control_peer_receive(&p), 0);
		ck_assert_int_eq(send(fds[0], text + i, 1, 0), 1);
	}
	ck_assert_int_eq(control_peer_receive(&p), 0);
	shutdown(fds[0], SHUT_WR);
	ck_assert_int_eq(control_peer_receive(&p), 1);
	ck_assert_uint_eq(p.size, strlen(text));
	ck_assert_int_eq(memcmp(p.bytes, text, p.size), 0);
	control_peer_done(&p);
	close(fds[0]);
}
END_TEST

/* Sends 'n' bytes to a peer, which reads between, and stops writing. Returns what it said last. */
static int feed(size_t n)
{
	char block[4096];
	struct control_peer p;
	int fds[2], r = 0;

	memset(block, ' ', sizeof(block));
	make_pair(fds, &p);
	while (n && r == 0) {
		size_t size = n < sizeof(block) ? n : sizeof(block);

		ck_assert_int_eq(send(fds[0], block, size, MSG_NOSIGNAL), (ssize_t)size);
		n -= size;
		r = control_peer_receive(&p);
	}
	shutdown(fds[0], SHUT_WR);
	if (r == 0)
		r = control_peer_receive(&p);
	control_peer_done(&p);
	close(fds[0]);
	return r;
}

START_TEST(a_request_of_64_kib_is_taken_and_one_byte_more_is_not)
{
	ck_assert_int_eq(feed(CONTROL_REQUEST_MAX), 1);
	ck_assert_int_eq(feed(CONTROL_REQUEST_MAX + 1), -EMSGSIZE);
	ck_assert_int_eq(feed(CONTROL_REQUEST_MAX * 10), -EMSGSIZE);
}
END_TEST

START_TEST(a_reply_to_a_client_that_does_not_read_waits_without_blocking_and_arrives_whole)
{
	json_t *reply = control_reply_new(0, NULL, json_array());
	struct control_peer p;
	size_t received = 0;
	char *expected;
	int fds[2], r;

	for (int i = 0; i < 100000; i++)
		json_array_append_new(json_object_get(reply, "data"), json_integer(i));
	expected = json_dumps(reply, JSON_COMPACT);
	make_pair(fds, &p);
	ck_assert_int_eq(control_peer_answer(&p, reply), 0);
	ck_assert_int_eq(control_peer_send(&p), 0);
	ck_assert_int_eq(control_peer_send(&p), 0);
	do {
		char block[8192];
		ssize_t n = recv(fds[0], block, sizeof(block), 0);

		ck_assert_int_gt(n, 0);
		ck_assert_int_eq(memcmp(block, expected + received, (size_t)n), 0);
		received += (size_t)n;
		r = control_peer_send(&p);
		ck_assert_int_ge(r, 0);
	} while (received < strlen(expected));
	ck_assert_int_eq(r, 1);
	control_peer_done(&p);
	close(fds[0]);
	free(expected);
	json_decref(reply);
}
END_TEST

START_TEST(a_client_that_hung_up_is_an_error_not_a_signal)
{
	json_t *reply = control_reply_new(0, NULL, NULL);
	struct control_peer p;
	int fds[2];

	make_pair(fds, &p);
	ck_assert_int_eq(control_peer_answer(&p, reply), 0);
	close(fds[0]);
	ck_assert_int_eq(control_peer_send(&p), -EPIPE);
	control_peer_done(&p);
	json_decref(reply);
}
END_TEST

/* ---- the client ---- */

/* What a server in a thread does with one client. */
struct server {
	const char *answer;	/* as it is; NULL = echo the words as data */
	bool read_first;
	pthread_t thread;
};

static void serve_echo(struct control_peer *p)
{
	struct control_request request;
	json_t *data = json_object(), *reply;

	while (control_peer_receive(p) == 0)
		usleep(1000);
	ck_assert_int_eq(control_request_parse(p->bytes, p->size, &request, error, sizeof(error)),
			 0);
	json_object_set(data, "words", json_object_get(request.root, "command"));
	reply = control_reply_new((int)request.n_words, "as asked", data);
	ck_assert_int_eq(control_peer_answer(p, reply), 0);
	control_request_done(&request);
	json_decref(reply);
	while (control_peer_send(p) == 0)
		usleep(1000);
}

static void *serve(void *arg)
{
	struct server *s = arg;
	struct control_peer p;

	control_peer_init(&p, accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC));
	if (s->read_first)
		while (control_peer_receive(&p) == 0)
			usleep(1000);
	if (s->answer)
		send(p.fd, s->answer, strlen(s->answer), MSG_NOSIGNAL);
	else
		serve_echo(&p);
	control_peer_done(&p);
	return NULL;
}

static int call_served(const char *answer, bool read_first, const char *const *words,
		       size_t n_words, struct control_reply *reply)
{
	struct server s = { .answer = answer, .read_first = read_first };
	int r;

	ck_assert_int_eq(pthread_create(&s.thread, NULL, serve, &s), 0);
	r = control_call(path, words, n_words, 5000, reply);
	pthread_join(s.thread, NULL);
	return r;
}

START_TEST(a_call_carries_words_there_and_status_error_and_data_back)
{
	static const char *const words[] = { "module", "add", "a b", "k=\xc3\xa4", "" };
	struct control_reply reply;
	const json_t *echoed;

	ck_assert_int_eq(call_served(NULL, false, words, N_ELEMENTS(words), &reply), 0);
	ck_assert_int_eq(reply.status, N_ELEMENTS(words));
	ck_assert_str_eq(reply.error, "as asked");
	echoed = json_object_get(reply.data, "words");
	ck_assert_uint_eq(json_array_size(echoed), N_ELEMENTS(words));
	for (size_t i = 0; i < N_ELEMENTS(words); i++)
		ck_assert_str_eq(json_string_value(json_array_get(echoed, i)), words[i]);
	control_reply_done(&reply);
}
END_TEST

START_TEST(a_server_that_answers_without_reading_is_understood)
{
	static const char *const words[] = { "show" };
	struct control_reply reply;

	ck_assert_int_eq(call_served("{\"schema\":1,\"status\":2,\"error\":\"busy\"}", false, words,
				     1, &reply), 0);
	ck_assert_int_eq(reply.status, 2);
	ck_assert_str_eq(reply.error, "busy");
	ck_assert_ptr_null(reply.data);
	control_reply_done(&reply);
}
END_TEST

START_TEST(what_is_no_reply_is_not_taken_for_one)
{
	static const char *const answers[] = { "", "{", "[]", "HTTP/1.1 400", "{\"schema\":1}",
					       "{\"status\":0}", "{\"schema\":1,\"status\":\"0\"}",
					       "{\"schema\":2,\"status\":0}" };
	static const char *const words[] = { "show" };

	for (size_t i = 0; i < N_ELEMENTS(answers); i++) {
		struct control_reply reply;

		ck_assert_int_eq(call_served(answers[i], true, words, 1, &reply), -EPROTO);
	}
}
END_TEST

static long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

START_TEST(a_silent_server_costs_the_timeout_and_no_more)
{
	static const char *const words[] = { "show" };
	struct control_reply reply;
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	ck_assert_int_eq(control_call(path, words, 1, 200, &reply), -ETIMEDOUT);
	ck_assert_int_ge(elapsed_ms(&start), 190);
	ck_assert_int_lt(elapsed_ms(&start), 2000);
}
END_TEST

START_TEST(a_full_backlog_is_waited_for_until_the_timeout)
{
	static const char *const words[] = { "show" };
	struct control_reply reply;

	/* the two places of the backlog */
	ck_assert_int_eq(control_call(path, words, 1, 50, &reply), -ETIMEDOUT);
	ck_assert_int_eq(control_call(path, words, 1, 50, &reply), -ETIMEDOUT);
	ck_assert_int_eq(control_call(path, words, 1, 200, &reply), -ETIMEDOUT);
}
END_TEST

START_TEST(nobody_there_and_words_that_cannot_be_sent_are_told_apart)
{
	static const char *const words[] = { "show" }, *const binary[] = { "show", "\xff" };
	char *many = malloc(CONTROL_REQUEST_MAX + 2), long_path[200];
	struct control_reply reply;

	memset(many, 'x', CONTROL_REQUEST_MAX + 1);
	many[CONTROL_REQUEST_MAX + 1] = '\0';
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	ck_assert_int_eq(control_call(path, binary, 2, 1000, &reply), -EINVAL);
	ck_assert_int_eq(control_call(path, (const char *const *)&many, 1, 1000, &reply),
			 -EMSGSIZE);
	ck_assert_int_eq(control_call(long_path, words, 1, 1000, &reply), -ENAMETOOLONG);
	close(listen_fd);
	listen_fd = -1;
	ck_assert_int_eq(control_call(path, words, 1, 1000, &reply), -ECONNREFUSED);
	unlink(path);
	ck_assert_int_eq(control_call(path, words, 1, 1000, &reply), -ENOENT);
	free(many);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *tests = tcase_create("control");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tests);
	tcase_set_timeout(tests, 30);
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_request_becomes_its_words);
	tcase_add_test(tests, what_is_no_request_is_refused_with_a_reason);
	tcase_add_test(tests, a_request_of_64_words_is_read_and_of_65_refused);
	tcase_add_test(tests, a_reply_has_only_the_parts_it_was_given);
	tcase_add_test(tests, a_request_is_complete_when_the_client_stops_writing_and_not_before);
	tcase_add_test(tests, a_request_of_64_kib_is_taken_and_one_byte_more_is_not);
	tcase_add_test(tests,
		       a_reply_to_a_client_that_does_not_read_waits_without_blocking_and_arrives_whole);
	tcase_add_test(tests, a_client_that_hung_up_is_an_error_not_a_signal);
	tcase_add_test(tests, a_call_carries_words_there_and_status_error_and_data_back);
	tcase_add_test(tests, a_server_that_answers_without_reading_is_understood);
	tcase_add_test(tests, what_is_no_reply_is_not_taken_for_one);
	tcase_add_test(tests, a_silent_server_costs_the_timeout_and_no_more);
	tcase_add_test(tests, a_full_backlog_is_waited_for_until_the_timeout);
	tcase_add_test(tests, nobody_there_and_words_that_cannot_be_sent_are_told_apart);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
