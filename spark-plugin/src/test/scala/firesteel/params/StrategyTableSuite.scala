package firesteel.params

import firesteel.bridge.{InvalidSpecException, NativeServer, SmallFit}
import org.json4s.JsonAST.{JBool, JDouble, JField, JInt, JObject, JString, JValue}
import org.json4s.jackson.JsonMethods.{compact, parse, render}
import org.scalatest.funsuite.AnyFunSuite

/** The table of strategies here against that of the native library, which is asked by opening parameter servers. */
final class StrategyTableSuite extends AnyFunSuite {
  private val optimizer: JValue = parse(
    """{"name": "sgd", "learningRate": 0.5, "momentum": 0.0, "dampening": 0.0, "nesterov": false, "weightDecay": 0.0}"""
  )

  /** Each option of a `StrategySpec` with a value of its range. */
  private val values: Map[String, JValue] = Map(
    "window" -> JInt(3),
    "scale" -> JDouble(0.5),
    "alpha" -> JDouble(0.5),
    "rho" -> JDouble(0.5),
    "momentum" -> JDouble(0.5),
    "gamma" -> JDouble(0.5),
    "outerLearningRate" -> JDouble(0.5),
    "outerMomentum" -> JDouble(0.5),
    "serverOptimizer" -> optimizer,
    "overlap" -> JBool.True,
    "compression" -> JObject("name" -> JString("bf16")),
    "compressPull" -> JBool.True
  )

  /** Options without a parameter of the estimators: the server of `sync` steps with the fit's optimizer. */
  private val nativeOnly: Map[String, Set[String]] = Map("sync" -> Set("serverOptimizer"))

  /** The error of the native library for a strategy with these options, if there is one. */
  private def refusal(name: String, options: String*): Option[String] = {
    val strategy = JObject(
      JField("name", JString(name)) :: options.map(option => option -> values(option)).toList
    )
    val server = parse(new SmallFit(1).server)
      .replace(List("strategy"), strategy)
      .merge(JObject("optimizer" -> optimizer))
    try {
      NativeServer.open(compact(render(server)), null).close()
      None
    } catch { case error: InvalidSpecException => Some(error.getMessage) }
  }

  /** The names that follow these words; the place in the document is no part of them. */
  private def listed(refusal: Option[String], before: String): Set[String] =
    refusal.toSeq
      .flatMap(_.split(before).lift(1))
      .flatMap(_.split(", "))
      .toSet

  test("the native library knows every name and alias, and no other strategy") {
    Strategy.names.foreach(name => assert(refusal(name) === None))
    assert(listed(refusal("adagg"), "use one of ") === Strategy.all.map(_.name).toSet)
  }

  test("every option of a strategy is one of the values that are tried") {
    assert(Strategy.all.flatMap(_.options).map(_._2).toSet === values.keySet)
  }

  for (name <- Strategy.names)
    test(s"the native library gives $name the same options and refuses every other one by name") {
      val own = Strategy(name).options.map(_._2).toSet ++ nativeOnly.getOrElse(name, Nil)
      // Only with one of these there is something for the way back.
      def needs(option: String): Seq[String] =
        Seq("compression").filter(_ => option == "compressPull").filter(own)
      own.foreach(option => assert(refusal(name, needs(option) :+ option: _*) === None, option))
      for (option <- values.keySet -- own) {
        val refused = refusal(name, needs(option) :+ option: _*)
        assert(refused.exists(_.contains(s"option '$option' does not apply")), s"$option: $refused")
        assert(listed(refused, "it has ") - "none" === own)
      }
    }
}
