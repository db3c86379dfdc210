package firesteel.data

import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

final class SampleDifferenceSuite extends AnyFunSuite {
  private val asked = StatisticsPlan(
    Seq(ClassColumn("y", 10, marks = false)),
    Nil,
    Seq(NumberColumn("x", 1))
  )

  private def moments(numbers: Seq[Double], rows: Long): Array[Moments] = {
    val builder = new MomentsBuilder(2)
    numbers.foreach { number =>
      builder.add(0, number)
      builder.add(1, number * number)
    }
    builder.result(rows)
  }

  /** Rows of a class and a number each. */
  private def group(rows: Seq[(Int, Double)]): RowStatistics = {
    val counts = Array.tabulate(10)(value => rows.count(_._1 == value).toLong)
    RowStatistics(rows.size.toLong, Array(counts), Array(moments(rows.map(_._2), rows.size.toLong)))
  }

  private def draw(random: Random, rows: Int): Seq[(Int, Double)] =
    Seq.fill(rows)((random.nextInt(10), random.nextGaussian()))

  private def difference(groups: Seq[(Int, Double)]*): Option[SampleDifference] =
    SampleDifference.worst(asked, groups.map(group))

  test("the moments of parts add up to those of the whole, whatever their sizes") {
    val numbers = Seq(1.0, 4.0, -2.0, 8.0, 8.5, Double.NaN)
    val whole = moments(numbers, 6).head
    val parts =
      moments(numbers.take(2), 2).lazyZip(moments(numbers.drop(2).init, 3)).map(_ + _).head
    assert(math.abs(whole.mean - 3.9) < 1e-12 && math.abs(parts.mean - 3.9) < 1e-12)
    assert(math.abs(whole.deviation - parts.deviation) < 1e-12)
  }

  test("a sample stands for the rows of its partition, but is no more certain for that") {
    val small = moments(Seq.fill(100)(0.0), 100).head
    val large = moments(Seq.fill(100)(1.0), 900).head
    assert(math.abs((small + large).mean - 0.9) < 1e-12)
    assert(math.abs(large.effective - 100) < 1e-9)
  }

  test("random groups of any size are fair samples of all rows") {
    val random = new Random(3)
    for (rows <- Seq(10, 100, 1000, 10000); _ <- 1 to 20) {
      val groups = Seq.fill(4)(draw(random, rows))
      assert(difference(groups: _*).isEmpty, difference(groups: _*).map(_.text))
    }
  }

  test("a class that is more than a quarter rarer in a group than elsewhere is a difference") {
    def rows(ones: Int): Seq[(Int, Double)] = Seq.tabulate(5000)(i => (if (i < ones) 1 else 0, 0.0))
    assert(difference(rows(450), rows(550)).isEmpty)
    val found = difference(rows(250), rows(750))
    val differ = "the share of class [01] of 'y' would differ by 0.10 between tasks"
    assert(found.exists(_.text.matches(differ)))
  }

  test("a mean that is more than a quarter of a standard deviation away is a difference") {
    val random = new Random(4)
    def rows(mean: Double): Seq[(Int, Double)] =
      draw(random, 4000).map { case (y, x) => (y, x + mean) }
    assert(difference(rows(-0.2), rows(0.2)).isEmpty)
    assert(
      difference(rows(-0.4), rows(0.4)).exists(
        _.text.startsWith("the mean of 'x' would differ by 0.7")
      )
    )
  }
}
