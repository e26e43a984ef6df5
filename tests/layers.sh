#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# layers.sh - each layer includes only those before it, and each function of a header says what it does.
#
#     include/nbl -> core -> port -> stack -> filter -> edge -> keeper | worker | cli
#                      \-> modules (see the installed headers and their own only) -^
#
# structures shared with BPF programs (nbl_shared.h): from port up.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

layers=(core port stack filter edge)	# modules stand aside
programs=(keeper worker cli)
passed=0 failed=0 skipped=0

# judge NAME COMMAND...: what it prints is what is wrong
judge()
{
	local name=$1 wrong

	shift
	wrong=$("$@")
	if [ -z "$wrong" ]; then
		passed=$((passed + 1))
		echo "ok $name"
	else
		failed=$((failed + 1))
		echo "FAILED $name: $(wc -l <<<"$wrong") places, the first: $(head -n 1 <<<"$wrong")"
		printf '    | %s\n' "${wrong//$'\n'/$'\n'    | }"
	fi
}

sources()
{
	find "$@" -name '*.[ch]' | sort
}

# own_includes FOLDER: "FILE:LINE: NAME" of each project header included there, <> and "" alike
own_includes()
{
	[ -d "$1" ] || return 0
	sources "$1" | xargs grep -HnE '^[ \t]*#[ \t]*include[ \t]+("|<nbl/)' |
		sed -E 's/[ \t]*#[ \t]*include[ \t]+["<]([^">]*)[">].*/ \1/'
}

# others_than REGEX FOLDER: its includes of project headers that do not match
others_than()
{
	own_includes "$2" | grep -vE ": ($1)\$" || true
}

# up_to LAYER: a regex of the headers it may include
up_to()
{
	local layer regex='nbl/[^/]*'

	for layer in "${layers[@]}"; do
		regex+="|$layer/[^/]*"
		[ "$layer" != port ] || regex+='|nbl_shared\.h|[a-z_]*\.skel\.h'
		# edges print and parse what modules are; so may the programs after them
		[ "$layer" != edge ] || regex+='|modules/[^/]*'
		[ "$layer" != "$1" ] || break
	done
	echo "$regex"
}

# Outside include/, installed headers are included as <nbl/...>, others by "LAYER/NAME".
by_their_full_name()
{
	sources user include | xargs grep -HnE '^[ \t]*#[ \t]*include[ \t]+("nbl/|<(core|port|stack|filter|modules|edge|keeper|worker|cli)/|"\.)' || true
}

# functions_without_comment FILE...: "FILE:LINE: NAME" of each function declared without one
#
# A comment counts for all declarations until the next empty line, or stands behind on the same line.
functions_without_comment()
{
	awk '
	FNR == 1 { depth = 0; comment = 0; inside = 0; macro = 0; text = "" }
	{
		line = $0
		if (macro || (!inside && line ~ /^[ \t]*#/)) {	# preprocessor, with its continuations
			macro = line ~ /\\$/
			next
		}
		said = 0
		code = ""
		while (line != "") {	# code and comments apart
			if (inside) {
				end = index(line, "*/")
				said = 1
				if (!end)
					break
				inside = 0
				line = substr(line, end + 2)
				continue
			}
			start = index(line, "/*")
			slashes = index(line, "//")
			if (slashes && (!start || slashes < start)) {
				code = code substr(line, 1, slashes - 1)
				said = 1
				break
			}
			if (!start) {
				code = code line
				break
			}
			code = code substr(line, 1, start - 1)
			line = substr(line, start + 2)
			inside = 1
		}
		if (said)
			comment = depth == 0 ? 1 : comment
		else if (code ~ /^[ \t]*$/ && depth == 0 && text == "")
			comment = 0
		if (text == "" && code !~ /^[ \t]*$/)
			begun = FNR
		n = split(code, c, "")
		for (i = 1; i <= n; i++) {
			if (c[i] == "{")
				depth++
			if (depth == 0)
				text = text c[i]
			if (c[i] == "}") {
				depth--
				if (depth == 0)		# a body, or a type: what follows is judged alone
					text = text "{}"
			}
			if (depth == 0 && (c[i] == ";" || (c[i] == "}" && text ~ /\)[^()]*\{\}$/))) {
				judge(text)
				text = ""
			}
		}
		text = text " "
		if (text ~ /^ *$/)
			text = ""
	}
	function judge(declaration,    name) {
		if (declaration !~ /\(/ || declaration ~ /^[ \t]*(static|typedef|_Static_assert|struct [a-z_]+ *\{\}|enum|union)/)
			return
		if (declaration ~ /^[^(]*\( *\*/)	# a pointer to a function
			return
		name = declaration
		gsub(/__attribute__ *\(\([^;]*\)\)\)?/, "", name)
		gsub(/NBL_[A-Z_]+\([^)]*\)/, "", name)
		sub(/ *\(.*/, "", name)
		sub(/.*[ *\t]/, "", name)
		if (!comment && name != "")
			print FILENAME ":" begun ": " name
	}' "$@"
}

headers_without_comment()
{
	local headers

	mapfile -t headers < <(find include user -name '*.h' | sort)
	functions_without_comment "${headers[@]}"
}

# spdx_missing: files whose first two lines do not name the license
spdx_missing()
{
	local f

	find include user bpf tests -name '*.[ch]' -o -name '*.sh' -path 'tests/*' | sort | while read -r f; do
		head -n 2 "$f" | grep -q SPDX-License-Identifier || echo "$f"
	done
}

# rules_unknown_to_manual: rules that have tests but no line in nbl(7)
rules_unknown_to_manual()
{
	local id

	sed -nE 's/^([A-Z]+-[0-9]+) .*/\1/p' tests/rules/*.rules | while read -r id; do
		grep -qx "\.B ${id/-/\\\\-}" man/nbl.7 || echo "$id"
	done
}

judge installed_headers_include_only_installed_headers others_than 'nbl/[^/]*' include
for layer in "${layers[@]}"; do
	[ -d "user/$layer" ] || continue
	judge "${layer}_includes_only_layers_before_it" others_than "$(up_to "$layer")" "user/$layer"
done
judge modules_include_only_installed_headers_and_their_own others_than 'nbl/[^/]*|modules/[^/]*' user/modules
for program in "${programs[@]}"; do
	[ -d "user/$program" ] || continue
	judge "${program}_includes_no_other_program" others_than "$(up_to edge)|$program/[^/]*" "user/$program"
done
judge headers_are_included_by_their_full_name by_their_full_name
judge functions_in_headers_have_a_comment headers_without_comment
judge files_name_their_license spdx_missing
judge the_manual_names_every_rule rules_unknown_to_manual

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
