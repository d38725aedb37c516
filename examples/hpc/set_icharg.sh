#!/bin/sh
# sh set_icharg.sh 1 [INCAR]       set ICHARG in an INCAR; the file as it was is kept as INCAR.before
# sh set_icharg.sh get [INCAR]     print the ICHARG that the INCAR had before; 2, VASP's default, where it has none
#
# The new statement becomes the first line: where a tag is given twice, VASP takes the first. Older ICHARG statements
# are taken out, so that other programs and people read the same; what stands beside them on the line, by ";", stays.
set -eu
icharg=$1
incar=${2:-INCAR}

if [ "$icharg" = get ]; then
    if grep -q '! set by set_icharg[.]sh' "$incar"; then incar=$incar.before; fi
    awk '
        {
            sub(/[#!].*/, "")
            count = split($0, statement, ";")
            for (i = 1; i <= count; i++)
                if (toupper(statement[i]) ~ /^[ \t]*ICHARG[ \t]*=/) {
                    sub(/^[^=]*=[ \t]*/, "", statement[i])
                    found = statement[i] + 0    # words behind the number are a comment
                    exit
                }
        }
        END { print found == "" ? 2 : found }' "$incar"
    exit
fi
[ -f "$incar.before" ] || cp "$incar" "$incar.before"    # the first copy is the user's own INCAR

awk -v icharg="$icharg" '
    BEGIN { print "ICHARG = " icharg "   ! set by set_icharg.sh" }
    FNR == 1 && /! set by set_icharg[.]sh/ { next }       # our own line of an earlier call
    {
        code = $0; comment = ""
        if (at = match($0, /[#!]/)) { code = substr($0, 1, at - 1); comment = substr($0, at) }
        if (toupper(code) !~ /(^|;)[ \t]*ICHARG[ \t]*=/) { print; next }
        count = split(code, statement, ";"); kept = ""
        for (i = 1; i <= count; i++)
            if (toupper(statement[i]) !~ /^[ \t]*ICHARG[ \t]*=/) kept = kept (kept == "" ? "" : ";") statement[i]
        if (kept ~ /[^ \t\r]/) print kept comment
        print "! was: " $0
    }' "$incar" > "$incar.new.$$"
mv "$incar.new.$$" "$incar"
