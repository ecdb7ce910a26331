// Placeholder until the first source arrives.
