"""A process that has imported all, and runs commands of brainleaks in forks of itself.

Reads lines of JSON, each the arguments of a command; writes the process's number when it has begun,
and its status when it has ended. What commands say on stderr goes to its own.
"""

import json
import os
import sys

import brainleaks.audit
import brainleaks.campaigns.publish
import brainleaks.cli
import brainleaks.pipeline.run
import brainleaks.report


def main():
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in range(2):
                os.dup2(nowhere, stream)
            sys.argv = ["brainleaks", *json.loads(line)]
            brainleaks.cli.main()
        print(process, flush=True)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
