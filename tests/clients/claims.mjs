// Claims of the npm clients.

// Prints a claim that holds, and ends the program for another.
export function check(what, holds) {
  if (!holds) {
    console.error(`not ok - ${what}`);
    process.exit(1);
  }
  console.log(`ok - ${what}`);
}

// Returns the error of a call.
export async function fails(call) {
  try {
    await call;
  } catch (error) {
    return error;
  }
  return check("the call fails", false);
}

// Returns true if two values are the same JSON.
export function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
