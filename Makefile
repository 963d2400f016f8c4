# Kubernetes From Scratch. `make` lists the targets.
STACK ?= local
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
cli := tsx tools/cli.ts

.DEFAULT_GOAL := help
.PHONY: help up preview refresh down clean status snapshot restore env kubeconfig image check test drills labs lab conformance by-hand

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{gsub(/\$$\$$/, "$$", $$2); printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  STACK=local (default), local-ha, dev, ha, series;  STAGE=machines|etcd|control-plane|workers|network|dns"

# Reinstalls when the lock file changes. npm sets this file's timestamp itself, hence the touch.
node_modules/.package-lock.json: package-lock.json
	@command -v npm >/dev/null || { echo "npm was not found. Install Node.js 20.19 or newer: https://nodejs.org"; exit 1; }
	@echo "Installing the npm packages"
	@npm ci --no-audit --no-fund --loglevel=error
	@touch $@

up: node_modules/.package-lock.json ## build or update the cluster of STACK, start machines that are down, and check that all is well
	@$(cli) up --stack $(STACK) $(if $(STAGE),--stage $(STAGE)) -- $(ARGS)

preview: node_modules/.package-lock.json ## show what `up` would change (ARGS=--diff for every line)
	@$(cli) preview --stack $(STACK) $(if $(STAGE),--stage $(STAGE)) -- $(ARGS)

refresh: node_modules/.package-lock.json ## update Pulumi's state with what really exists
	@$(cli) refresh --stack $(STACK)

down: node_modules/.package-lock.json ## destroy the cluster of STACK; the local cloud stops with its last stack
	@$(cli) down --stack $(STACK)

status: node_modules/.package-lock.json ## ask every machine and component of STACK how it is now; fails with remedies if anything is wrong
	@$(cli) status --stack $(STACK)

snapshot: node_modules/.package-lock.json ## save a snapshot of etcd in .lab/<stack>/snapshots
	@$(cli) snapshot --stack $(STACK)

restore: node_modules/.package-lock.json ## replace the data of etcd by a snapshot (SNAPSHOT=file, or SNAPSHOT=machine:path)
	@$(cli) restore --stack $(STACK) $(if $(SNAPSHOT),'$(SNAPSHOT)')

env: node_modules/.package-lock.json ## print the environment in which pulumi and kubectl work on STACK: eval "$$(make -s env)"
	@$(cli) env --stack $(STACK)

kubeconfig: node_modules/.package-lock.json ## merge the kubeconfig of STACK into ~/.kube/config (or FILE=file); `down` takes it out again
	@$(cli) kubeconfig --stack $(STACK) $(if $(FILE),'$(FILE)')

image: node_modules/.package-lock.json ## let pods on the local cloud use an image (IMAGE=name from the container engine, FILE=archive), or list what is there
	@$(cli) image $(if $(FILE),--file '$(FILE)') $(if $(IMAGE),-- '$(IMAGE)')

clean: node_modules/.package-lock.json ## destroy every local stack, then remove the state and the npm packages of this checkout
	@$(cli) clean
	@rm -rf .lab node_modules

check: node_modules/.package-lock.json ## run the checks and the tests that need no cloud, in a minute or two
	@tsx tools/test.ts check

test: node_modules/.package-lock.json ## run the checks and all tests but the drills, on separate local clouds
	@tsx tools/test.ts all

drills: node_modules/.package-lock.json ## run the long tests, with a table of results
	@tsx tools/test.ts drills

labs: node_modules/.package-lock.json ## run every experiment against the cluster of STACK and write a report
	@$(cli) labs --stack $(STACK)

lab: node_modules/.package-lock.json ## run one experiment (LAB=name), or list them
	@$(cli) lab --stack $(STACK) $(if $(LAB),$(LAB))

conformance: node_modules/.package-lock.json ## run upstream's conformance suite against the cluster of STACK (FOCUS=regexp for a part, PROCS=n at a time)
	@$(cli) conformance --stack $(STACK) $(if $(FOCUS),--focus='$(FOCUS)') $(if $(PROCS),--procs='$(PROCS)')

by-hand: node_modules/.package-lock.json ## write the commands that build the cluster of STACK, for typing by hand
	@$(cli) by-hand --stack $(STACK)
