"""The fault drill, `make drill`: a whole installation is broken again and again while alerts come in and people answer.

Webs, workers, senders and beat run under the supervisor of `make run` on a PostgreSQL and a Valkey of their own, which
waits for the disk. A seeded schedule kills processes (-9), restarts PostgreSQL in three ways, flushes, kills, freezes
and takes away Valkey. The provider is an SMTP server in a process of its own that writes down what it is handed before
it answers. When all is quiet, what was promised is compared with what is in the database and in the provider's log.
"""
