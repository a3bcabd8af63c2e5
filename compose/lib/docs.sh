# shellcheck shell=bash
# Swagger UI for the gateway's /docs, by npm, without any package's scripts.

DOCS_FILES=(swagger-ui.css swagger-ui-bundle.js favicon-32x32.png)

# Beside it first: a half-made folder is never mounted.
make_docs() {
    local dir=$DEV_DIR/cache/docs file
    rm -rf "$dir" && mkdir -p "$dir" "$DEV_DIR/docs"
    cp "$ROOT"/compose/docs/package*.json "$dir"
    (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund)
    for file in "${DOCS_FILES[@]}"; do
        install -m 644 "$dir/node_modules/swagger-ui-dist/$file" "$DEV_DIR/docs/$file"
    done
}

# The cluster does without where npm reaches nothing: /docs then says so.
ensure_docs() {
    mkdir -p "$DEV_DIR/docs"
    [[ ! -s $DEV_DIR/docs/swagger-ui-bundle.js || ! -f $STAMP_DIR/docs ||
        $(< "$STAMP_DIR/docs") != "$(hash_of "$ROOT/compose/docs")" ]] || return 0
    if (stage "page of the API (npm)" make_docs); then # it ends the shell when it fails
        hash_of "$ROOT/compose/docs" > "$STAMP_DIR/docs"
    else
        say "  no page at /docs: npm did not get its renderer; see build/dev/logs"
    fi
}
