package firesteel.summary

import org.scalatest.funsuite.AnyFunSuite

final class DiagnosisSuite extends AnyFunSuite {
  private val good = SampleReport(64, Some(0.1), Some(2.0), Seq(OutputReport("out", None)), Nil)
  private val blind = good.copy(loss = Some(0.7), shuffledLoss = Some(0.7))

  private def task(
      sample: SampleReport = good,
      unreached: Seq[String] = Nil,
      zero: Seq[String] = Nil,
      rows: Seq[Long] = Seq(10)
  ): TaskReport = TaskReport(
    0,
    0,
    rows.zipWithIndex.map { case (count, index) => MemberReport(index, count) },
    Map.empty,
    Some(LearningReport(unreached, zero, Some(sample)))
  )

  private def epochs(losses: Double*): Seq[EpochSummary] =
    losses.zipWithIndex.map { case (loss, epoch) => EpochSummary(epoch, loss, 10) }

  private def warnings(tasks: TaskReport*): Seq[String] =
    Diagnosis.warnings(epochs(1.0, 0.5), tasks)

  test("a fit that has learnt gives no warning") {
    assert(warnings(task(), task()).isEmpty)
  }

  test("a parameter is named if it got no gradient in any task") {
    val one = task(unreached = Seq("a", "b"), zero = Seq("c", "d"))
    val other = task(unreached = Seq("a"), zero = Seq("b", "c"))
    val found = warnings(one, other)
    assert(found.size === 2)
    assert(found.head.startsWith("parameter 'a' got no gradient in any step"))
    assert(found.last.startsWith("each of the parameters 'b', 'c' had a gradient of 0"))
    assert(warnings(one, task()).isEmpty)
  }

  test("long lists of parameters are cut short") {
    val names = Seq.tabulate(7)(index => s"p$index")
    assert(warnings(task(unreached = names)).head.contains("'p4' and 2 more"))
  }

  test("a loss that does not fall is told, unless the model tells rows apart") {
    def told(sample: SampleReport, losses: Double*): Seq[String] =
      Diagnosis.warnings(epochs(losses: _*), Seq(task(sample)))
    assert(told(blind, 0.7, 0.8, 0.75).head.contains("0.700000 in the first epoch and 0.750000"))
    assert(told(good, 0.7, 0.8, 0.75).isEmpty)
    assert(told(blind, 0.7, 0.8, 0.6).isEmpty)
    assert(told(blind, 0.7).isEmpty)
  }

  test("a constant prediction is told if every sample that can be judged has one") {
    val still = good.copy(outputs = Seq(OutputReport("out", Some("class 1"))))
    val unknown = good.copy(outputs = Nil)
    assert(
      warnings(task(still), task(unknown)).head
        .startsWith("the prediction is constant: output 'out' gives class 1 ")
    )
    assert(warnings(task(still), task()).isEmpty)
  }

  test("a layer is named if more than half of its units are dead in every sample") {
    def having(dead: Long): SampleReport = good.copy(dead = Seq(DeadReport("relu", dead, 10)))
    assert(
      warnings(task(having(9)), task(having(6))).head
        .startsWith("6 of the 10 units of layer 'relu'")
    )
    assert(warnings(task(having(9)), task(having(5))).isEmpty)
    assert(warnings(task(having(9)), task()).isEmpty)
  }

  test("workers without rows are counted") {
    val found = warnings(task(rows = Seq(5, 0)), task(rows = Seq(0, 3)))
    assert(found.head.startsWith("2 of 4 workers had no rows"))
    assert(found.head.endsWith("set numWorkers to 2"))
  }
}
