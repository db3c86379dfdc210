package firesteel.fit

import org.scalatest.funsuite.AnyFunSuite

final class CandidatesSuite extends AnyFunSuite {
  test("a group is cut into parts of about the same size, in order") {
    assert(Candidates.split(1 to 17, 16) === Seq(1 to 8, 9 to 17))
    assert(Candidates.split(1 to 5, 2) === Seq(Seq(1), Seq(2, 3), Seq(4, 5)))
    assert(Candidates.split(1 to 4, 16) === Seq(1 to 4))
  }
}
