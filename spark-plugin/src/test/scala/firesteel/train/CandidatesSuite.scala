package firesteel.train

import firesteel.data.DataPlan
import org.json4s.JsonAST.JObject
import org.scalatest.funsuite.AnyFunSuite

final class CandidatesSuite extends AnyFunSuite {
  test("a group is cut into parts of about the same size, in order") {
    assert(Candidates.split(1 to 17, 16) === Seq(1 to 8, 9 to 17))
    assert(Candidates.split(1 to 5, 2) === Seq(Seq(1), Seq(2, 3), Seq(4, 5)))
    assert(Candidates.split(1 to 4, 16) === Seq(1 to 4))
  }

  test("what a candidate takes of an executor grows with its parameters and its workers there") {
    def bytes(workers: Int, slots: Int, slotsOfExecutor: Int): Long = {
      val plan = FitPlan(
        JObject(),
        DataPlan(Nil),
        Nil,
        _ => JObject(),
        _ => JObject(),
        _ => JObject(),
        identity,
        None,
        _ => 32,
        1,
        1,
        shuffle = true,
        None,
        parameters = 1000
      )
      Candidates.bytes(SizedPlan(plan, slots, workers), slotsOfExecutor)
    }
    assert(bytes(workers = 1, slots = 4, slotsOfExecutor = 2) === 4000 * 11)
    assert(bytes(workers = 4, slots = 4, slotsOfExecutor = 2) === 4000 * 2 * 11)
    assert(bytes(workers = 5, slots = 4, slotsOfExecutor = 2) === 4000 * 2 * 18)
  }
}
