"""Settings: YAML files become one frozen, validated model. `reading` reads them, `schema` says what they may hold."""
